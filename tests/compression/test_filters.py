"""Filter pruning: smaller arrays that compute what the parent computes with zeros there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import analysis, compression, nn
from cnnjax.compression.choose_channels import channel_orders
from cnnjax.compression.paths import flat_paths
from tests.compression.nets import SHAPE, Deciding, Response, Tied, drawn
from tests.compression.test_channel_groups import FAMILIES, family
from tests.helpers.programs import quickly


@pytest.fixture(scope="module")
def pruned():
    model = Tied()
    variables = drawn(model)
    return variables, compression.prune_filters(model, variables, SHAPE, 0.5)


def test_half_of_each_group_goes(pruned):
    _, small = pruned
    changes = {group.name: (group.before, group.after) for group in small.groups}
    assert changes == {
        "stem": (8, 4),
        "branch1": (6, 3),
        "left": (4, 2),
        "right": (5, 3),
        "before": (4, 2),
        "grouped": (4, 2),
        "hidden": (10, 5),
        "head": (7, 7),
    }
    params = small.variables["params"]
    assert params["depthwise"]["kernel"].shape == (3, 3, 1, 12)
    assert params["hidden"]["kernel"].shape == (16 * 12, 5)
    assert nn.layer_changes(small.model)["depthwise"] == {
        "features": 12,
        "feature_group_count": 6,
    }


def test_the_smallest_filters_go(pruned):
    variables, small = pruned
    # The L1 norms of the two layers that are added up.
    norms = sum(
        np.abs(np.asarray(variables["params"][name]["kernel"], np.float64)).sum(axis=(0, 1, 2))
        for name in ("stem", "branch2")
    )
    stays = np.sort(np.argsort(norms)[4:])
    np.testing.assert_array_equal(
        small.variables["batch_stats"]["bn"]["mean"], variables["batch_stats"]["bn"]["mean"][stays]
    )


def test_the_costs_are_counted_again(pruned):
    variables, small = pruned
    leaves = jax.tree.leaves
    assert small.parameters == (
        sum(leaf.size for leaf in leaves(variables["params"])),
        sum(leaf.size for leaf in leaves(small.variables["params"])),
    )
    counted = analysis.summarize(small.model, SHAPE, kept=False).multiply_adds
    assert small.multiply_adds == (
        analysis.summarize(Tied(), SHAPE, kept=False).multiply_adds,
        counted,
    )
    assert f"-> {counted:,}" in str(small)


def test_logits_are_those_of_the_masked_parent_and_of_a_fresh_init():
    # Flax's own norm keeps its statistics in single precision.
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        model = Tied(dtype=jnp.float64)
        variables = drawn(model, dtype=np.float64)
        small = compression.prune_filters(model, variables, SHAPE, 0.5)
        images = jnp.asarray(np.random.default_rng(1).normal(size=(2, *SHAPE)))

        @quickly
        def logits(small_variables, masked, variables):
            return (
                small.model.apply(small_variables, images),
                model.apply(masked, images),
                model.apply(variables, images),
            )

        found, expected, whole = logits(small.variables, small.masked, variables)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
        assert float(abs(found - whole).max()) > 1e-3
        made = jax.eval_shape(small.model.init, jax.random.key(0), images)
    assert jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, small.variables)


def test_masked_variables_are_zero_where_something_was_removed(pruned):
    variables, small = pruned
    for path, leaf in flat_paths(small.masked).items():
        before = flat_paths(variables)[path]
        kept = np.asarray(leaf) != 0
        np.testing.assert_array_equal(np.asarray(leaf)[kept], np.asarray(before)[kept])
        assert kept.sum() == flat_paths(small.variables)[path].size


def test_multiply_adds_are_saved_with_as_few_channels_as_can_be():
    model, variables = Tied(), drawn(Tied())
    small = compression.prune_filters(model, variables, SHAPE, multiply_adds=0.3, keep=["stem"])
    before, after = small.multiply_adds
    assert 0.3 <= 1 - after / before < 0.4
    assert next(group for group in small.groups if group.name == "stem").after == 8


def test_a_multiple_of_channels_stays():
    variables = drawn(Tied())
    small = compression.prune_filters(Tied(), variables, SHAPE, 0.5, multiple=4)
    lost = {g.name: (g.before, g.after) for g in small.groups if g.after < g.before}
    # Of 6 channels, 2 would be less than half; groups of 4 have no smaller multiple.
    assert lost == {"stem": (8, 4), "branch1": (6, 4), "right": (5, 4), "hidden": (10, 8)}
    saving = compression.prune_filters(Tied(), variables, SHAPE, multiply_adds=0.3, multiple=2)
    before, after = saving.multiply_adds
    assert 1 - after / before >= 0.3
    assert all(g.after % 2 == 0 for g in saving.groups if g.after < g.before)


def test_rules_name_groups():
    variables = drawn(Tied())
    rules = [("branch.*", 0.5), ("left", 0.25)]
    small = compression.prune_filters(Tied(), variables, SHAPE, rules)
    lost = {group.name: group.before - group.after for group in small.groups}
    assert {name: n for name, n in lost.items() if n} == {"branch1": 3, "left": 1}


def test_random_channels_follow_the_seed():
    variables = drawn(Tied())
    groups = compression.channel_groups(Tied(), SHAPE)
    first, again, other = (
        channel_orders(variables, groups, "random", seed)["hidden"].tolist() for seed in (0, 0, 1)
    )
    assert first == again != other
    assert sorted(other) == list(range(10))


def test_channels_that_the_code_decides_by_are_kept():
    variables = drawn(Deciding())
    small = compression.prune_filters(Deciding(), variables, SHAPE, 0.5)
    first, second, _ = small.groups
    assert (first.after, second.after) == (6, 3)
    assert "the network's code" in (first.reason or "")
    with pytest.raises(ValueError, match="ratio: the channels of first cannot be removed: the net"):
        compression.prune_filters(Deciding(), variables, SHAPE, [("first", 0.5)])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ratio": 1.0}, r"ratio: 1\.0 was given; give a share of 0 or more, and below 1"),
        ({"ratio": -0.1}, "ratio: -0.1 was given"),
        ({"ratio": [("stem", 2)]}, "ratio: stem: 2 was given"),
        ({"ratio": [("stm", 0.5)]}, "no group of channels is named 'stm'; did you mean stem"),
        ({"ratio": 0.5, "keep": ["x"]}, "keep: no group of channels is named 'x'; there are stem"),
        ({"ratio": [("head", 0.5)]}, "the channels of head cannot be removed: the network returns"),
        ({"ratio": 0.5, "multiple": 0}, "multiple: 0 was given; give a whole number, such as 8"),
        ({"ratio": 0.5, "multiple": 2.0}, r"multiple: 2\.0 was given"),
        ({"ratio": 0.5, "by": "l3"}, "by: 'l3' was given; give 'l1' or 'random'"),
        ({"multiply_adds": 0.999}, "multiply_adds: 0.999 of them cannot be saved; with one"),
        ({"multiply_adds": 30}, "multiply_adds: 30 was given"),
        ({}, "give either ratio or multiply_adds"),
    ],
)
def test_wrong_values_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        compression.prune_filters(Tied(), drawn(Tied()), SHAPE, **given)


def test_a_network_without_removable_channels_is_refused_with_every_reason():
    class NoChannels(Response):
        def __call__(self, x):
            return jnp.cumsum(super().__call__(x), axis=-1)[..., :1]

    model = NoChannels()
    rules = [("normed", 0.5)]
    with pytest.raises(ValueError, match="normed cannot be removed: reduce_window_sum in the"):
        compression.prune_filters(model, drawn(model), SHAPE, rules)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_computes_what_its_masked_parent_computes(name):
    shape = FAMILIES[name]
    net = family(name)
    images = jax.random.normal(jax.random.key(1), (2, *shape))
    first = quickly(lambda key: nn.init_network(net, key, images))(jax.random.key(0))
    rng = np.random.default_rng(0)
    # Odd values: fresh batch norms and biases are ones and zeros.
    variables = jax.tree.map(
        lambda a: a if a.ndim > 1 else jnp.asarray(rng.uniform(0.5, 1.5, a.shape), a.dtype), first
    )
    small = compression.prune_filters(net, variables, shape, 0.4)
    found = quickly(lambda v: nn.apply_network(small.model, v, images, train=False))(
        small.variables
    )
    expected = quickly(lambda v: nn.apply_network(net, v, images, train=False))(small.masked)
    scale = float(abs(expected).max())
    np.testing.assert_allclose(found / scale, expected / scale, atol=2e-5)
    assert small.multiply_adds[1] < 0.95 * small.multiply_adds[0]
