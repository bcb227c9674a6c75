"""Our rules serve reverse mode only; the error in forward mode advises what does work."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops


def _normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


X_SHAPE, KERNEL_SHAPE = (2, 5, 5, 2), (3, 3, 2, 4)
X, KERNEL, GRAD = _normal(0, *X_SHAPE), _normal(1, *KERNEL_SHAPE), _normal(2, 2, 5, 5, 4)
Y, PLACES = ops.max_pool_with_argmax(X[:, :4, :4], 2)

# Public functions without an argument `backward`, one of their operands, and the advice.
REFUSED = {
    "conv2d_input_grad": (
        lambda g: ops.conv2d_input_grad(g, KERNEL, X_SHAPE),
        GRAD,
        r'differentiate conv2d\(..., backward="native"\) with jax.vjp for dL/dx',
    ),
    "conv2d_kernel_grad": (
        lambda g: ops.conv2d_kernel_grad(X, g, KERNEL_SHAPE),
        GRAD,
        r'differentiate conv2d\(..., backward="native"\) with jax.vjp for dL/dk',
    ),
    "conv_general_dilated": (
        lambda x: ops.conv_general_dilated(
            x, KERNEL, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        X,
        "call lax.conv_general_dilated itself",
    ),
    "max_unpool": (
        lambda y: ops.max_unpool(y, PLACES, (2, 4, 4, 2)),
        Y,
        "apply max_unpool to the tangent of y, since it is linear in y",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_without_an_argument_backward_the_advice_names_another_way(name):
    function, operand, advice = REFUSED[name]
    with pytest.raises(TypeError, match=rf"^{name}: .* for forward mode .* {advice}"):
        jax.jvp(function, (operand,), (operand,))
    with pytest.raises(TypeError) as caught:
        jax.jacfwd(function)(operand)
    assert 'pass backward="native"' not in str(caught.value)


def test_native_convolution_gives_both_gradients_in_forward_mode():
    direction = _normal(3, *GRAD.shape)
    _, vjp = jax.vjp(lambda x, k: ops.conv2d(x, k, backward="native"), X, KERNEL)
    _, (dx, dk) = jax.jvp(vjp, (GRAD,), (direction,))
    np.testing.assert_allclose(
        dx, ops.conv2d_input_grad(direction, KERNEL, X_SHAPE), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        dk, ops.conv2d_kernel_grad(X, direction, KERNEL_SHAPE), rtol=1e-4, atol=1e-4
    )


def test_the_tangent_of_unpooling_is_the_unpooled_tangent():
    function, step = REFUSED["max_unpool"][0], _normal(3, *Y.shape)
    np.testing.assert_allclose(
        function(Y + step), function(Y) + function(step), rtol=1e-6, atol=1e-6
    )


def test_transposed_convolution_is_refused_in_its_own_name():
    with pytest.raises(TypeError, match=r'^conv2d_transpose: .* pass backward="native"'):
        jax.jvp(lambda x: ops.conv2d_transpose(x, KERNEL), (X,), (X,))
