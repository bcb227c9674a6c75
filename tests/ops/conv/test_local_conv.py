"""local_conv2d: unshared weights, against the defining sum and lax's layout of the kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnnjax import ops
from tests.helpers.programs import quickly
from tests.ops.conv.conv_cases import assert_sum_close

CASES = [
    dict(strides=1, padding="SAME", dilation=1, window=(3, 3), size=(5, 6)),
    dict(strides=(2, 1), padding=((1, 0), (2, 1)), dilation=(1, 2), window=(2, 3), size=(7, 8)),
    dict(strides=3, padding="VALID", dilation=1, window=(2, 4), size=(8, 9)),
]


def _normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def _geometry(case):
    """Strides, dilation and pads of a case, as pairs."""
    pair = lambda value: value if isinstance(value, tuple) else (value, value)  # noqa: E731
    strides, dilation = pair(case["strides"]), pair(case["dilation"])
    pads = case["padding"]
    if isinstance(pads, str):
        spans = [(k - 1) * d + 1 for k, d in zip(case["window"], dilation, strict=True)]
        pads = tuple(lax.padtype_to_pads(case["size"], spans, strides, pads))
    return strides, dilation, pads


def _by_definition(x, kernel, window, strides, dilation, pads):
    """y(r, c) = Σ x(r·s + a·d, c·s + b·d) k(r, c, channel, a, b), one output pixel at a time."""
    x = np.pad(x, ((0, 0), *pads, (0, 0)))
    rows, columns, _, filters = kernel.shape
    kernel = kernel.reshape(rows, columns, x.shape[3], *window, filters)
    y = np.zeros((x.shape[0], rows, columns, filters))
    for r in range(rows):
        for c in range(columns):
            for a in range(window[0]):
                for b in range(window[1]):
                    place = (r * strides[0] + a * dilation[0], c * strides[1] + b * dilation[1])
                    y[:, r, c] += x[:, place[0], place[1]] @ kernel[r, c, :, a, b]
    return y


@pytest.mark.parametrize("case", CASES, ids=str)
def test_is_its_defining_sum_and_has_the_gradients_of_the_sum(case):
    window, (strides, dilation, pads) = case["window"], _geometry(case)
    out = [
        ops.output_size(n, k, s, p, d)
        for n, k, s, p, d in zip(case["size"], window, strides, pads, dilation, strict=True)
    ]
    x = _normal(0, 2, *case["size"], 3)
    kernel = _normal(1, *out, 3 * window[0] * window[1], 4)
    options = dict(strides=case["strides"], padding=case["padding"], dilation=case["dilation"])

    @quickly
    def both(x, kernel, g):
        y, vjp = jax.vjp(lambda x, k: ops.local_conv2d(x, k, window, **options), x, kernel)
        return y, vjp(g)

    g = _normal(2, 2, *out, 4)
    arrays = [jnp.asarray(a, jnp.float32) for a in (x, kernel, g)]
    y, (dx, dk) = both(*arrays)
    of = lambda x, kernel: _by_definition(x, kernel, window, strides, dilation, pads)  # noqa: E731
    assert_sum_close(y, of(x, kernel), kernel.shape[2])
    # The sum is linear in either argument: its change along a direction is the gradient's product.
    for gradient, moved in ((dx, lambda d: of(d, kernel)), (dk, lambda d: of(x, d))):
        direction = _normal(3, *gradient.shape)
        expected = np.sum(moved(direction) * g)
        np.testing.assert_allclose(np.sum(gradient * direction), expected, rtol=1e-4, atol=1e-3)


def test_the_kernel_has_the_layout_of_lax():
    x, kernel = _normal(0, 2, 6, 7, 3), _normal(1, 3, 6, 18, 4)
    x, kernel = jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32)
    expected = lax.conv_general_dilated_local(
        x, kernel, (2, 1), ((1, 0), (0, 0)), (3, 2), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    found = ops.local_conv2d(x, kernel, (3, 2), strides=(2, 1), padding=((1, 0), (0, 0)))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_equal_kernels_at_all_pixels_are_a_convolution():
    x, kernel = jnp.asarray(_normal(0, 2, 5, 5, 2)), jnp.asarray(_normal(1, 3, 3, 2, 4))
    x, kernel = x.astype(jnp.float32), kernel.astype(jnp.float32)
    # Channel, row, column: the channel first.
    row = kernel.transpose(2, 0, 1, 3).reshape(1, 1, 18, 4)
    repeated = jnp.broadcast_to(row, (5, 5, 18, 4))
    for mode in ("reflect", 0.5):
        np.testing.assert_allclose(
            ops.local_conv2d(x, repeated, 3, padding_mode=mode),
            ops.conv2d(x, kernel, padding_mode=mode),
            rtol=1e-5,
            atol=1e-5,
        )


def test_no_images_give_no_results_and_a_gradient_of_zeros():
    x, kernel = jnp.ones((0, 4, 4, 2)), jnp.ones((4, 4, 18, 3))
    y, vjp = jax.vjp(lambda x, k: ops.local_conv2d(x, k, 3), x, kernel)
    assert y.shape == (0, 4, 4, 3)
    dx, dk = vjp(y)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dk, jnp.zeros(kernel.shape))


def test_a_kernel_for_other_images_is_refused_with_the_shape_that_fits():
    x, kernel = jnp.ones((1, 6, 6, 2)), jnp.ones((4, 4, 18, 3))
    assert ops.local_conv2d(x, kernel, 3, padding="VALID").shape == (1, 4, 4, 3)
    with pytest.raises(ValueError, match=r"kernel must have the shape \(6, 6, 18\) and the filt"):
        ops.local_conv2d(x, kernel, 3)
    with pytest.raises(ValueError, match="larger than the padded input"):
        ops.local_conv2d(x, kernel, 7, padding="VALID")
    with pytest.raises(TypeError, match="local_conv2d: the arrays must share one dtype"):
        ops.local_conv2d(x, kernel.astype(jnp.bfloat16), 3)
