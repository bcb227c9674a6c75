"""The fixed kernels and the activations, by what they do to known images and numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.ops import filters


def _plane(down, right):
    rows, columns = np.mgrid[0:6, 0:7]
    return jnp.asarray(down * rows + right * columns, jnp.float32)[None, :, :, None]


def test_sobel_measures_the_slope_of_a_plane():
    vertical, horizontal = filters.sobel(_plane(2.0, 3.0))
    # Four weights either side, two pixels apart: -8 times the slope; falling is positive.
    np.testing.assert_allclose(vertical[0, 1:-1, 1:-1], -24.0)
    np.testing.assert_allclose(horizontal[0, 1:-1, 1:-1], -16.0)


def test_laplacian_is_zero_on_a_plane_and_the_curvature_of_a_bowl():
    np.testing.assert_allclose(filters.laplacian(_plane(2.0, 3.0))[0, 1:-1, 1:-1], 0, atol=1e-5)
    bowl = _plane(1.0, 0.0) ** 2 + _plane(0.0, 1.0) ** 2
    np.testing.assert_allclose(filters.laplacian(bowl)[0, 1:-1, 1:-1], 4.0)
    np.testing.assert_allclose(filters.sharpen(bowl), bowl - filters.laplacian(bowl), atol=1e-4)


@pytest.mark.slow
def test_blurs_keep_a_constant_and_spread_a_point():
    constant = jnp.full((1, 5, 5, 2), 7.0)
    point = jnp.zeros((1, 9, 9, 1)).at[0, 4, 4].set(1.0)
    for blur in (filters.box_blur, lambda x, **o: filters.gaussian_blur(x, 1.0, size=3, **o)):
        np.testing.assert_allclose(blur(constant), constant, rtol=1e-6)
        np.testing.assert_allclose(jnp.sum(blur(point)), 1.0, rtol=1e-6)
    np.testing.assert_allclose(filters.box_blur(point)[0, 3:6, 3:6, 0], 1 / 9, rtol=1e-6)
    spread = filters.gaussian_blur(point, 0.5, size=5)[0, 2:7, 2:7, 0]
    profile = np.exp(-0.5 * (np.arange(-2, 3) / 0.5) ** 2)
    np.testing.assert_allclose(spread, np.outer(profile, profile) / profile.sum() ** 2, atol=1e-6)


def test_gaussian_kernels_reach_three_sigma():
    kernel = filters.gaussian_kernel(1.5)
    assert kernel.shape == (11,)
    np.testing.assert_allclose(kernel[5] / kernel[4], np.exp(0.5 / 1.5**2))


def test_wrong_kernels_are_refused():
    x = jnp.zeros((1, 5, 5, 1))
    with pytest.raises(ValueError, match="sigma must be a finite number and positive"):
        filters.gaussian_blur(x, 0.0)
    with pytest.raises(ValueError, match="positive odd int"):
        filters.box_blur(x, 2)
    with pytest.raises(ValueError, match="both odd"):
        filters.apply_filter(x, np.ones((2, 3)))


def test_activations_at_known_points():
    x = jnp.array([-2.0, 0.0, 1.0])
    np.testing.assert_array_equal(ops.relu(x), [0, 0, 1])
    np.testing.assert_allclose(ops.leaky_relu(x, 0.1), [-0.2, 0, 1], rtol=1e-6)
    edges = jnp.array([-1.0, 0.0, 2.5, 6.0, 7.0, jnp.inf, jnp.nan])
    np.testing.assert_array_equal(ops.relu6(edges), [0, 0, 2.5, 6, 6, 6, np.nan])
    # PyTorch's derivative at both ends.
    np.testing.assert_array_equal(jax.vmap(jax.grad(ops.relu6))(edges[:5]), [0, 0, 1, 0, 0])
    np.testing.assert_allclose(ops.sigmoid(x), 1 / (1 + np.exp([2.0, 0.0, -1.0])), rtol=1e-6)
    # LeCun et al., 1998, appendix A: f(1) = 1, f(-1) = -1, effective gain close to 1.
    ones = jnp.array([1.0, -1.0])
    np.testing.assert_allclose(ops.scaled_tanh(ones), ones, atol=1e-4)
    assert jax.grad(ops.relu)(0.0) == 0.0
    assert all(
        f(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
        for f in (ops.relu, ops.relu6, ops.scaled_tanh)
    )
