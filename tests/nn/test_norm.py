"""nn.BatchNorm and nn.LocalResponseNorm."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import nn
from tests.helpers.programs import quickly

IMAGES = 2.0 + 3.0 * jax.random.normal(jax.random.key(0), (4, 5, 6, 7))


@pytest.mark.parametrize("use_running_average", [True, False])
def test_batch_norm_has_flax_variables_and_values(use_running_average):
    fields = {"use_running_average": use_running_average, "momentum": 0.9, "epsilon": 1e-3}
    ours, theirs = nn.BatchNorm(**fields), linen.BatchNorm(**fields)
    variables = {
        "params": {"scale": jnp.arange(7.0), "bias": jnp.arange(7.0)[::-1]},
        "batch_stats": {"mean": jnp.linspace(-1, 1, 7), "var": jnp.linspace(1, 9, 7)},
    }
    assert jax.tree.structure(ours.init(jax.random.key(0), IMAGES)) == jax.tree.structure(variables)
    got, expected = (bn.apply(variables, IMAGES, mutable=["batch_stats"]) for bn in (ours, theirs))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), got, expected)


MASKS = {
    "examples": np.array([1, 0, 1, 1], bool).reshape(4, 1, 1, 1),
    "pixels": np.random.default_rng(0).integers(0, 2, (4, 5, 6, 1)),
    "values": np.random.default_rng(1).integers(0, 2, (4, 5, 6, 7)).astype(bool),
    "channels": np.ones(7),
}


@pytest.mark.parametrize("kind", MASKS)
def test_a_mask_has_flax_meaning(kind):
    fields = {"use_running_average": False, "momentum": 0.9, "epsilon": 1e-3}
    variables = {
        "params": {"scale": jnp.arange(1.0, 8), "bias": jnp.arange(7.0)[::-1]},
        "batch_stats": {"mean": jnp.linspace(-1, 1, 7), "var": jnp.linspace(1, 9, 7)},
    }

    def values(module):
        def wave(params, x):
            y, updated = module.apply(
                {**variables, "params": params}, x, mask=MASKS[kind], mutable=["batch_stats"]
            )
            return jnp.sum(jnp.sin(y)), (y, updated)

        return quickly(jax.value_and_grad(wave, (0, 1), has_aux=True))(variables["params"], IMAGES)

    # Flax's fast variance loses digits by which the gradients would differ.
    expected = values(linen.BatchNorm(**fields, use_fast_variance=False))
    for backward in ("ours", "native"):
        got = values(nn.BatchNorm(**fields, backward=backward))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=5e-4), got, expected)


def test_masked_statistics_count_every_value_once_over_a_mapped_axis():
    """Devices with one and two examples that count: means of means would weigh them alike."""
    bn = nn.BatchNorm(use_running_average=False, axis_name="replica")
    x, mask = IMAGES, MASKS["examples"]
    variables = bn.init(jax.random.key(0), x)
    kept = np.asarray(x, np.float64)[[0, 2, 3]]
    mean, var = kept.mean((0, 1, 2)), kept.var((0, 1, 2))
    expected = (np.asarray(x) - mean) / np.sqrt(var + 1e-5)
    parts, _ = jax.vmap(
        lambda x, mask: bn.apply(variables, x, mask=mask, mutable=["batch_stats"]),
        axis_name="replica",
    )(x.reshape(2, 2, 5, 6, 7), mask.reshape(2, 2, 1, 1, 1))
    np.testing.assert_allclose(parts.reshape(x.shape), expected, atol=2e-5)


def test_groups_take_their_parts_of_the_mask_and_wrong_masks_are_refused():
    bn = nn.BatchNorm(use_running_average=False, groups=2)
    mask = MASKS["examples"]
    variables = bn.init(jax.random.key(0), IMAGES, mask=mask)
    y, _ = bn.apply(variables, IMAGES, mask=mask, mutable=["batch_stats"])
    first = np.asarray(IMAGES, np.float64)[:1]
    expected = (np.asarray(IMAGES[:2]) - first.mean((0, 1, 2))) / np.sqrt(
        first.var((0, 1, 2)) + 1e-5
    )
    np.testing.assert_allclose(y[:2], expected, atol=2e-5)
    with pytest.raises(ValueError, match=r"batch_norm: mask must broadcast .*\(4, 1, 1, 1\)"):
        bn.clone(groups=1).apply(
            variables, IMAGES, mask=jnp.ones((3, 1, 1, 1)), mutable=["batch_stats"]
        )


def test_batch_norm_averages_statistics_over_a_mapped_axis():
    bn = nn.BatchNorm(use_running_average=False, axis_name="replica")
    variables = bn.init(jax.random.key(0), IMAGES)
    whole, whole_stats = bn.clone(axis_name=None).apply(variables, IMAGES, mutable=["batch_stats"])
    parts, part_stats = jax.vmap(
        lambda x: bn.apply(variables, x, mutable=["batch_stats"]), axis_name="replica"
    )(IMAGES.reshape(2, 2, *IMAGES.shape[1:]))
    np.testing.assert_allclose(parts.reshape(IMAGES.shape), whole, atol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[0], b, atol=1e-5), part_stats, whole_stats
    )


def test_groups_are_normalized_separately_and_averaged_in_the_running_statistics():
    bn = nn.BatchNorm(use_running_average=False, groups=2)
    variables = bn.init(jax.random.key(0), IMAGES)
    y, updated = bn.apply(variables, IMAGES, mutable=["batch_stats"])
    parts = np.asarray(IMAGES, np.float64).reshape(2, 2, 5, 6, 7)
    mean, var = parts.mean(axis=(1, 2, 3)), parts.var(axis=(1, 2, 3))
    expected = (parts - mean[:, None, None, None]) / np.sqrt(var[:, None, None, None] + 1e-5)
    np.testing.assert_allclose(y, expected.reshape(IMAGES.shape), atol=1e-5)
    stats: Any = updated["batch_stats"]
    np.testing.assert_allclose(stats["mean"], 0.1 * mean.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * var.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("backward", ["ours", "native"])
def test_groups_along_a_mapped_axis_are_groups_of_the_whole_batch(backward):
    fields = {"use_running_average": False, "dtype": jnp.float64, "backward": backward}
    whole = nn.BatchNorm(groups=2, **fields)
    mapped = nn.BatchNorm(axis_name="device", axis_index_groups=((0, 1), (2, 3)), **fields)
    with jax.enable_x64(True):
        x = 2.0 + 3.0 * jax.random.normal(jax.random.key(0), (4, 5, 6, 7), jnp.float64)
        variables = whole.init(jax.random.key(0), x)

        def wave(bn, x):
            y, updated = bn.apply(variables, x, mutable=["batch_stats"])
            return jnp.sum(jnp.sin(y)), updated["batch_stats"]

        gradient, stats = jax.grad(lambda x: wave(whole, x), has_aux=True)(x)
        parts, part_stats = jax.pmap(
            jax.grad(lambda x: wave(mapped, x), has_aux=True), axis_name="device"
        )(x[:, None])
    # Groups of axis indices have statistics of their own on their devices.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(np.asarray(a).mean(axis=0), b, atol=1e-6),
        part_stats,
        stats,
    )
    np.testing.assert_allclose(np.asarray(parts)[:, 0], gradient, rtol=0, atol=1e-13)


def test_groups_that_do_not_divide_the_batch_are_refused():
    bn = nn.BatchNorm(use_running_average=False, groups=3)
    variables = bn.init(jax.random.key(0), IMAGES)
    with pytest.raises(ValueError, match="groups is 3, but a batch of 4 cannot be cut"):
        bn.apply(variables, IMAGES, mutable=["batch_stats"])


def test_batch_norm_takes_bfloat16_and_keeps_float32_statistics():
    bn = nn.BatchNorm(use_running_average=False, dtype=jnp.bfloat16)
    x = IMAGES.astype(jnp.bfloat16)
    y, variables = bn.init_with_output(jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16
    assert {v.dtype for v in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    np.testing.assert_allclose(y.astype(jnp.float32).mean((0, 1, 2)), np.zeros(7), atol=0.02)
    np.testing.assert_allclose(y.astype(jnp.float32).std((0, 1, 2)), np.ones(7), atol=0.02)


def test_local_contrast_norm_takes_off_the_mean_and_divides_by_the_deviation():
    x = np.asarray(IMAGES, np.float64)

    def means(values):
        """The mean over the 3x5 window around each pixel, inside the image, and all channels."""
        result = np.zeros((4, 5, 6, 1))
        for r in range(5):
            for c in range(6):
                window = values[:, max(r - 1, 0) : r + 2, max(c - 2, 0) : c + 3]
                result[:, r, c, 0] = window.mean(axis=(1, 2, 3))
        return result

    centered = x - means(x)
    expected = centered / np.sqrt(means(centered**2))

    def both(x, backward):
        layer: Any = nn.LocalContrastNorm((3, 5), backward=backward)
        y, vjp = jax.vjp(lambda x: layer.apply({}, x), x)
        return y, vjp(jnp.cos(y))[0]

    (y, ours), (_, theirs) = quickly(lambda x: (both(x, "ours"), both(x, "native")))(IMAGES)
    np.testing.assert_allclose(y, expected, atol=1e-4)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    with pytest.raises(ValueError, match=r"LocalContrastNorm lcn: .*window must be odd"):
        nn.LocalContrastNorm(4, name="lcn").apply({}, IMAGES)


def test_variables_of_batch_norm_are_float32_where_float64_is_on():
    with jax.enable_x64(True):
        norm = nn.BatchNorm(use_running_average=False)
        variables = norm.init(jax.random.key(0), jnp.ones((2, 4, 4, 3), jnp.float32))
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(variables)} == {"float32"}
