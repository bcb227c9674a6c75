"""Training on eight devices against training on one: the same losses, parameters and statistics."""

from typing import Any

import jax
import numpy as np
import pytest

from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import BatchNormScope
from tests.helpers.fixtures import optimized  # noqa: F401
from tests.helpers.trees import largest_difference
from tests.training.devices.parallel_case import (
    JIT,
    LAYOUTS,
    ONE,
    PMAP,
    Case,
    PlainLinen,
)

STEPS = 20


def assert_same_training(trained, expected):
    (losses, case), (expected_losses, one) = trained, expected
    np.testing.assert_allclose(losses, expected_losses, rtol=0, atol=1e-9)
    state, other = case.placement.fetch(case.state), one.placement.fetch(one.state)
    for part in ("params", "collections", "opt_state"):
        assert largest_difference(getattr(state, part), getattr(other, part)) < 1e-9, part
    assert int(state.step) == STEPS


def trained(layout, **fields):
    """Returns the losses of 20 steps in float64, and the case as it ended."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        case = Case(layout, np.float64, **fields)
        return case.run(STEPS), case


@pytest.fixture(scope="module")
def doubles():
    """What was trained, by layout."""
    return {name: trained(layout) for name, layout in [("one", ONE), *LAYOUTS.items()]}


@pytest.mark.parametrize("name", LAYOUTS)
def test_eight_devices_compute_what_one_does(doubles, name):
    assert_same_training(doubles[name], doubles["one"])
    losses, _ = doubles[name]
    assert losses[-1] < 0.1 * losses[0]


@pytest.fixture(scope="module")
def plain():
    """What was trained on one device of a network of flax's own layers, one of them grouped."""
    return trained(ONE, net=PlainLinen())


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param(JIT, id="jit", marks=pytest.mark.slow),
        # A grouped convolution whose kernel is cut, which is what the whole kernel does and more.
        pytest.param(
            Parallel("jit", "data:4,model:2", ("(.*/)?kernel=-1", ".*=replicated")), id="sharded"
        ),
        pytest.param(PMAP, id="pmap", marks=pytest.mark.slow),
    ],
)
def test_a_network_of_flax_layers_trains_on_eight_devices_as_on_one(plain, layout):
    found = trained(layout, net=PlainLinen())
    assert_same_training(found, plain)
    assert found[0][-1] < 0.8 * found[0][0]


@pytest.mark.parametrize("layout", [JIT, PMAP], ids=["jit", "pmap"])
def test_frozen_batch_statistics_stay_bit_identical(layout):
    with jax.numpy_dtype_promotion("standard"):
        case = Case(layout, np.float32, parts=2, net=PlainLinen(), frozen=("BatchNorm_0",))
    odd = jax.tree.map(lambda leaf: leaf + 0.1, case.state.collections)
    before = case.placement.fetch(odd)["batch_stats"]
    case.state = case.state.replace(collections=odd)
    case.run(2)
    after = case.placement.fetch(case.state).collections["batch_stats"]
    assert largest_difference(after["BatchNorm_0"], before["BatchNorm_0"]) == 0
    assert largest_difference(after["BatchNorm_1"], before["BatchNorm_1"]) > 1e-3


@pytest.mark.parametrize(("layout", "scope"), [(JIT, "device"), (PMAP, "group")])
def test_groups_of_examples_are_refused_for_flax_batch_norm(layout, scope):
    with pytest.raises(
        ValueError, match=r"BatchNorm_0: flax.linen.BatchNorm cannot take .* groups"
    ):
        size = 4 if scope == "group" else None
        Case(layout, np.float32, BatchNormScope(scope, size), net=PlainLinen())


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_copies_on_all_devices_agree(doubles, name):
    for leaf in jax.tree.leaves(doubles[name][1].state):
        copies = {}
        for shard in leaf.addressable_shards:
            # Under pmap the leading index is that of the device.
            index = str(shard.index[1:] if name == "pmap" else shard.index)
            copies.setdefault(index, []).append(np.asarray(shard.data))
        held = [len(values) for values in copies.values()]
        assert sum(held) == 8 and min(held) >= 4
        for first, *others in copies.values():
            assert all(np.array_equal(first, other) for other in others)


def test_cut_parameters_take_their_part_of_the_bytes(doubles):
    state = doubles["sharded"][1].state
    cut = whole = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(state.params):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        held = {shard.device: shard.data.nbytes for shard in leaf.addressable_shards}
        if name.startswith(("stage2", "stage3")) and name.endswith("kernel"):
            assert set(held.values()) == {leaf.nbytes // 2}, name
            cut += leaf.nbytes
        else:
            assert set(held.values()) == {leaf.nbytes}, name
            whole += leaf.nbytes
    facts = doubles["sharded"][1].placement.describe(state)
    assert cut > 5 * whole
    assert facts["parameter_bytes"] == cut + whole
    assert facts["parameter_bytes_per_device"] == cut // 2 + whole
    assert facts["mesh"] == {"data": 4, "model": 2}
    # Momentum is cut as its parameter is.
    momentum = state.opt_state[0].trace
    same = jax.tree.map(
        lambda a, b: a.sharding.is_equivalent_to(b.sharding, a.ndim), momentum, state.params
    )
    assert all(jax.tree.leaves(same))


SMALL = ({"blocks": (1,), "widths": (8,)}, ["jit", "pmap"])


@pytest.mark.parametrize(
    ("net", "names"), [SMALL, pytest.param({}, list(LAYOUTS), marks=pytest.mark.slow)]
)
def test_in_float32_the_first_gradients_agree(net, names):
    gradients = {}
    for name, layout in [("one", ONE), *((name, LAYOUTS[name]) for name in names)]:
        case = Case(layout, np.float32, **net)
        case.run(1)
        # After one step the momentum is the gradient.
        momentum: Any = case.state.opt_state
        gradients[name] = case.placement.fetch(momentum[0].trace)
    largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(gradients["one"]))
    for name in names:
        assert largest_difference(gradients[name], gradients["one"]) < 1e-5 * largest
