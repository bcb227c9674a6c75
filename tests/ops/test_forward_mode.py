"""Our rules serve reverse mode only; the error in forward mode advises what does work."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.ops import filters


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
    "global_avg_pool": (
        ops.global_avg_pool,
        X,
        "apply global_avg_pool to the tangent of x, in which it is linear",
    ),
    "global_max_pool": (
        ops.global_max_pool,
        X,
        r'use max_pool\(..., backward="native"\) with the image as its window',
    ),
    "gaussian_blur": (
        lambda x: filters.gaussian_blur(x, 1.0),
        X,
        "apply gaussian_blur to the tangent of x, in which it is linear",
    ),
    "sharpen": (
        lambda x: filters.sharpen(x, padding_mode=1.0),
        X,
        'apply sharpen to the tangent of x, in which it is linear, with padding_mode="zeros"',
    ),
    "max_unpool": (
        lambda y: ops.max_unpool(y, PLACES, (2, 4, 4, 2)),
        Y,
        "apply max_unpool to the tangent of y, since it is linear in y",
    ),
    "reverse_gradient": (
        ops.reverse_gradient,
        X,
        "leave the reversal out, since no function has its derivative",
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


# Public functions that compute by another op, with an argument `backward` of their own.
PARTS = {
    "conv2d_transpose": lambda x, how: ops.conv2d_transpose(x, KERNEL, backward=how),
    "convolve2d": lambda x, how: ops.convolve2d(x, KERNEL, backward=how),
    "fft_conv2d": lambda x, how: ops.fft_conv2d(x, KERNEL, backward=how),
    "local_contrast_norm": lambda x, how: ops.local_contrast_norm(x, window=3, backward=how),
    "separable_conv2d": lambda x, how: ops.separable_conv2d(x, KERNEL[:, :, :1], backward=how)[0],
}


@pytest.mark.parametrize("name", PARTS)
def test_a_function_made_of_another_op_is_refused_in_its_own_name(name):
    function = PARTS[name]
    with pytest.raises(TypeError, match=rf'^{name}: .* pass backward="native"'):
        jax.jvp(lambda x: function(x, "ours"), (X,), (X,))
    _, tangent = jax.jvp(lambda x: function(x, "native"), (X,), (X,))
    assert np.isfinite(tangent).all()


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
