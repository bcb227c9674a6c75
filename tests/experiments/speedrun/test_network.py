"""The speedrun's network and its first kernels, as published."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.speedrun import network
from experiments.speedrun.whitening import whitening_kernel


def test_whitening_kernels_whiten_patches():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((40, 6, 6, 3)) @ rng.standard_normal((3, 3))
    images[:, 1:] += images[:, :-1]
    kernel = np.asarray(jax.jit(whitening_kernel)(jnp.asarray(images, jnp.float32), 1e-6))
    assert kernel.shape == (2, 2, 3, 24)
    windows = np.lib.stride_tricks.sliding_window_view(images, (2, 2), axis=(1, 2))
    outputs = np.einsum("nyxchw,hwco->nyxo", windows, kernel).reshape(-1, 24)
    moments = outputs[:, :12].T @ outputs[:, :12] / len(outputs)
    np.testing.assert_allclose(moments, np.eye(12), atol=2e-3)
    np.testing.assert_array_equal(kernel[..., 12:], -kernel[..., :12])


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 9), (5, 2)])
def test_partial_identity_passes_channels_on(inputs, outputs):
    kernel = jax.jit(network.partial_identity, static_argnums=1)(
        jax.random.key(0), (3, 3, inputs, outputs)
    )
    x = jax.random.normal(jax.random.key(1), (2, 5, 5, inputs))
    y = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    kept = min(inputs, outputs)
    np.testing.assert_allclose(y[..., :kept], x[..., :kept], atol=1e-6)
    others = np.asarray(kernel[..., kept:])
    bound = 1 / math.sqrt(9 * inputs)
    assert np.all(np.abs(others) <= bound)
    if others.size:
        assert np.std(others) == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_the_network_is_as_large_as_published_and_starts_as_stated():
    shapes = jax.eval_shape(
        lambda key: network.SpeedNet().init(key, jnp.zeros((1, 32, 32, 3)), train=False),
        jax.random.key(0),
    )
    sizes = {
        jax.tree_util.keystr(path, simple=True, separator="/"): math.prod(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(shapes["params"])
    }
    # 1.97 million (arXiv 2404.00498, section 3.1), without the scales, which are not trained.
    counted = sum(size for path, size in sizes.items() if not path.endswith("scale"))
    assert round(counted / 1e6, 2) == 1.97
    assert sizes["block1/conv1/kernel"] == 9 * 24 * 64
    assert sizes["block3/conv2/kernel"] == 9 * 256 * 256
