"""Masks of the largest weights, against a sort in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import compression


def drawn():
    rng = np.random.default_rng(0)
    return {
        "a": {
            "kernel": jnp.asarray(rng.normal(size=(3, 4)), jnp.float32),
            "bias": jnp.asarray(rng.normal(size=4), jnp.float32),
        },
        "b": {"kernel": jnp.asarray(rng.normal(size=(4, 7)) * 5, jnp.float32)},
    }


PARAMS = drawn()
FLAT = {name: np.abs(np.asarray(PARAMS[name]["kernel"])).reshape(-1) for name in "ab"}


@pytest.mark.parametrize("sparsity", [0, 0.3, 0.8])
def test_over_the_network_the_largest_of_all_stay(sparsity):
    masks = compression.weight_masks(PARAMS, sparsity)
    values = np.concatenate([FLAT["a"], FLAT["b"]])
    expected = values >= np.sort(values)[int(sparsity * 40)]
    found = np.concatenate([np.asarray(masks[name]["kernel"]).reshape(-1) for name in "ab"])
    np.testing.assert_array_equal(found, expected)
    assert compression.sparsity_of(masks) == pytest.approx(int(sparsity * 40) / 40)


def test_in_each_layer_the_same_share_goes():
    masks = compression.weight_masks(PARAMS, 0.5, scope="layer")
    assert "bias" not in masks["a"]
    for name in "ab":
        mask = np.asarray(masks[name]["kernel"]).reshape(-1)
        np.testing.assert_array_equal(mask, FLAT[name] > np.sort(FLAT[name])[mask.size // 2 - 1])


def test_of_equal_weights_exactly_the_share_goes():
    masks = compression.weight_masks({"kernel": jnp.ones((5, 2))}, 0.3)
    assert masks["kernel"].tolist() == [[False, False], [False, True], *([[True, True]] * 3)]


def test_random_masks_have_the_share_and_follow_the_seed():
    first, again, other = (
        compression.weight_masks(PARAMS, 0.5, by="random", seed=seed)["b"]["kernel"].tolist()
        for seed in (0, 0, 1)
    )
    assert first == again != other
    assert compression.sparsity_of(compression.weight_masks(PARAMS, 0.5, by="random")) == 0.5


def test_layers_are_chosen_by_patterns():
    masks = compression.weight_masks(PARAMS, 0.5, layers=("a/.*",))
    assert jax.tree.map(lambda mask: mask.shape, masks) == {"a": {"kernel": (3, 4), "bias": (4,)}}


def test_masks_make_zeros_and_are_found_from_them():
    masks = compression.weight_masks(PARAMS, 0.5)
    variables = compression.apply_masks({"params": PARAMS, "batch_stats": {}}, masks)
    for name in "ab":
        kernel, mask = variables["params"][name]["kernel"], np.asarray(masks[name]["kernel"])
        np.testing.assert_array_equal(kernel, np.asarray(PARAMS[name]["kernel"]) * mask)
    found = compression.zero_masks(variables["params"])
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), found, masks))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sparsity": 1}, "sparsity: 1 was given; give a share of 0 or more, and below 1"),
        ({"sparsity": True}, "sparsity: True was given"),
        ({"sparsity": 0.5, "scope": "net"}, "scope: 'net' was given; give 'global' or 'layer'"),
        ({"sparsity": 0.5, "by": "luck"}, "by: 'luck' was given; give 'magnitude' or 'random'"),
        ({"sparsity": 0.5, "layers": ("c/.*",)}, "no parameter is named 'c/.*'; there are a/ker"),
    ],
)
def test_wrong_values_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        compression.weight_masks(PARAMS, **given)


def test_masks_of_another_network_are_refused():
    masks = compression.weight_masks(PARAMS, 0.5)
    with pytest.raises(ValueError, match="a/kernel is masked, but the network has no such param"):
        compression.apply_masks({"b": PARAMS["b"]}, masks)
    other = {**PARAMS, "b": {"kernel": jnp.ones((4, 8))}}
    with pytest.raises(ValueError, match=r"b/kernel has a mask of shape \(4, 7\).*shape \(4, 8\)"):
        compression.apply_masks(other, masks)
    numbers = jax.tree.map(lambda mask: mask.astype(jnp.float32), masks)
    with pytest.raises(ValueError, match="dtype float32"):
        compression.apply_masks(PARAMS, numbers)
    with pytest.raises(ValueError, match="masks: there are none"):
        compression.apply_masks(PARAMS, {})
