"""Training on eight devices against training on one: the same losses, parameters and statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import training
from cnnjax.data import evaluation_batches
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import BatchNormScope, make_placement
from tests.training.devices.parallel_case import (
    BATCH,
    EXAMPLES,
    GLOBAL,
    SHARD_KERNELS,
    Case,
    PlainLinen,
    examples,
)

ONE = Parallel()
JIT = Parallel("jit")
SHARDED = Parallel("jit", "data:4,model:2", SHARD_KERNELS)
PMAP = Parallel("pmap")
LAYOUTS = {"jit": JIT, "sharded": SHARDED, "pmap": PMAP}
STEPS = 20
SHAPES = {"kernel": jax.ShapeDtypeStruct((3, 3, 3, 8), jnp.float32)}


def largest_difference(tree, other):
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)


def assert_same_training(trained, expected):
    (losses, case), (expected_losses, one) = trained, expected
    np.testing.assert_allclose(losses, expected_losses, rtol=0, atol=1e-9)
    state, other = case.placement.fetch(case.state), one.placement.fetch(one.state)
    for part in ("params", "collections", "opt_state"):
        assert largest_difference(getattr(state, part), getattr(other, part)) < 1e-9, part
    assert int(state.step) == STEPS


@pytest.fixture(scope="module")
def doubles():
    """Losses of 20 steps in float64, with the cases as they ended, by layout."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        cases = {
            name: Case(layout, np.float64) for name, layout in [("one", ONE), *LAYOUTS.items()]
        }
        return {name: (case.run(STEPS), case) for name, case in cases.items()}


@pytest.mark.parametrize("name", LAYOUTS)
def test_eight_devices_compute_what_one_does(doubles, name):
    assert_same_training(doubles[name], doubles["one"])
    losses, _ = doubles[name]
    assert losses[-1] < 0.1 * losses[0]


PLAIN_LAYOUTS = {
    "jit": JIT,
    "sharded": Parallel("jit", "data:4,model:2", ("(.*/)?kernel=-1", ".*=replicated")),
    "pmap": PMAP,
}


@pytest.fixture(scope="module")
def plain():
    """The same of a network of flax's own layers, one of them a grouped convolution."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        cases = {
            name: Case(layout, np.float64, net=PlainLinen())
            for name, layout in [("one", ONE), *PLAIN_LAYOUTS.items()]
        }
        return {name: (case.run(STEPS), case) for name, case in cases.items()}


@pytest.mark.parametrize("name", PLAIN_LAYOUTS)
def test_a_network_of_flax_layers_trains_on_eight_devices_as_on_one(plain, name):
    assert_same_training(plain[name], plain["one"])
    losses, _ = plain[name]
    assert losses[-1] < 0.8 * losses[0]


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
        Case(layout, np.float32, BatchNormScope(scope, 4), net=PlainLinen())


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_copies_on_all_devices_agree(doubles, name):
    for leaf in jax.tree.leaves(doubles[name][1].state):
        copies = {}
        for shard in leaf.addressable_shards:
            # Under pmap the leading index tells devices apart.
            index = str(shard.index[1:] if name == "pmap" else shard.index)
            copies.setdefault(index, []).append(np.asarray(shard.data))
        held = [len(values) for values in copies.values()]
        assert sum(held) == 8 and min(held) >= 4
        for first, *others in copies.values():
            assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_device_has_its_own_examples(name):
    placement = make_placement(LAYOUTS[name], SHAPES, BATCH)
    positions = np.random.default_rng(0).permutation(BATCH).astype(np.int32)
    whole = placement.replicate(positions)
    if name == "pmap":
        parts = np.asarray(jax.pmap(placement.split, axis_name=placement.axis_name)(whole))
    else:
        rows = {
            str(shard.index): np.asarray(shard.data)
            for shard in jax.jit(placement.split)(whole).addressable_shards
        }
        parts = np.stack(list(rows.values()))
    assert parts.shape == (placement.shards, BATCH // placement.shards)
    np.testing.assert_array_equal(parts.reshape(-1), positions)


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
        gradients[name] = case.placement.fetch(case.state.opt_state[0].trace)
    largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(gradients["one"]))
    for name in names:
        assert largest_difference(gradients[name], gradients["one"]) < 1e-5 * largest


DEVICE = BatchNormScope(scope="device")
WIDE = BatchNormScope(scope="group", group_size=16)
NARROW = BatchNormScope(scope="group", group_size=4)
EIGHTHS = BatchNormScope(scope="group", group_size=8)


@pytest.fixture(scope="module")
def scoped():
    """Losses and fetched states after four steps of a very small net, by layout and scope."""

    def run(layout, scope, parts=1):
        case = Case(layout, np.float64, scope, parts, blocks=(1,), widths=(4,))
        losses = case.run(4)
        return losses, case.placement.fetch((case.state.params, case.state.collections))

    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        return {
            "one": run(ONE, GLOBAL),
            "one, eighths": run(ONE, EIGHTHS),
            "jit, device": run(JIT, DEVICE),
            "pmap, device": run(PMAP, DEVICE),
            "jit, wide": run(JIT, WIDE),
            "pmap, wide": run(PMAP, WIDE),
            "jit, narrow": run(JIT, NARROW),
            "pmap, narrow": run(PMAP, NARROW),
            "one, parts": run(ONE, GLOBAL, parts=2),
            "jit, parts": run(JIT, GLOBAL, parts=2),
            "pmap, parts": run(PMAP, GLOBAL, parts=2),
        }


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("pmap, device", "jit, device"),
        ("jit, device", "one, eighths"),
        ("pmap, wide", "jit, wide"),
        ("pmap, narrow", "jit, narrow"),
        ("jit, parts", "one, parts"),
        ("pmap, parts", "one, parts"),
    ],
)
def test_the_same_batch_norm_scope_gives_the_same_numbers(scoped, name, like):
    np.testing.assert_allclose(scoped[name][0], scoped[like][0], rtol=0, atol=1e-9)
    assert largest_difference(scoped[name][1], scoped[like][1]) < 1e-9


def test_other_batch_norm_scopes_give_other_numbers(scoped):
    names = ["one", "jit, device", "jit, wide", "jit, narrow", "one, parts"]
    for position, name in enumerate(names):
        for other in names[:position]:
            assert largest_difference(scoped[name][1], scoped[other][1]) > 1e-3, (name, other)


@pytest.mark.parametrize("layout", [ONE, JIT, SHARDED, PMAP], ids=["one", *LAYOUTS])
@pytest.mark.parametrize("size", [7, 50, 128])
def test_an_evaluation_counts_every_example_once(layout, size):
    placement = make_placement(layout, SHAPES, BATCH)
    images, labels = examples(np.float32)
    data = placement.replicate((images, labels))

    def sums(images, labels, positions, weights):
        positions, weights = placement.split(positions), placement.split(weights)
        seen = jnp.zeros(EXAMPLES).at[positions].add(weights)
        return {
            "weight": weights.sum(),
            "seen": seen,
            "pixel": (images[positions, 0, 0, 0] * weights).sum(),
        }

    def rows(images, labels, positions, weights):
        return labels[placement.split(positions)]

    both = placement.compile_evaluation(lambda *given: (sums(*given), {"label": rows(*given)}))
    total, gathered = [], []
    batch = placement.round_up(size)
    for positions, weights in evaluation_batches(EXAMPLES, batch):
        chosen = placement.replicate((positions, weights))
        added_up, whole = jax.device_get(both(*data, *chosen))
        total.append(added_up)
        gathered.append(whole["label"])
    added = jax.tree.map(lambda *parts: sum(parts), *total)
    assert added["weight"] == EXAMPLES
    np.testing.assert_array_equal(added["seen"], np.ones(EXAMPLES))
    np.testing.assert_allclose(added["pixel"], images[:, 0, 0, 0].sum(dtype=np.float64), rtol=1e-5)
    np.testing.assert_array_equal(np.concatenate(gathered)[:EXAMPLES], labels)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_hosts_rows_become_the_batch(name):
    placement = make_placement(LAYOUTS[name], SHAPES, BATCH)
    rows = {"label": np.arange(BATCH, dtype=np.int32), "image": np.ones((BATCH, 2, 2, 1), np.uint8)}
    placed = placement.put_batch(rows)
    total = placement.compile_sums(
        lambda batch: {"label": batch["label"].sum(), "image": jnp.int32(batch["image"]).sum()}
    )(placed)
    assert int(total["label"]) == BATCH * (BATCH - 1) // 2
    assert int(total["image"]) == 4 * BATCH
    sizes = {shard.data.size for shard in placed["label"].addressable_shards}
    assert sizes == {BATCH // placement.shards}


def test_a_placed_state_leaves_the_hosts_arrays_alone():
    with jax.numpy_dtype_promotion("standard"):
        case = Case(PMAP, np.float32, blocks=(1,), widths=(4,))
    before = case.placement.fetch(case.state)
    kept = jax.tree.map(np.copy, before)
    case.state = case.placement.place(before)
    case.run(2)
    assert largest_difference(before, kept) == 0


@pytest.mark.parametrize(
    ("parallel", "batch", "message"),
    [
        (Parallel("vmap"), 64, "--parallel: 'vmap' was given; choose jit or pmap"),
        (Parallel(mesh="data:2"), 64, "--mesh: needs --parallel"),
        (Parallel("jit", "date:4"), 64, "its axes are data and model"),
        (Parallel("jit", "data:x"), 64, "'x' was given for the axis data"),
        (Parallel("jit", "data:16"), 64, "data:16,model:1 is 16 devices; there are 8"),
        (
            JIT,
            60,
            r"60 examples cannot be spread evenly over 8 .*size=56 or .*=64 or --mesh=data:6",
        ),
        (Parallel("jit", "data:4,model:2"), 64, "give both or neither"),
        (Parallel("pmap", "data:4,model:2", (".*=replicated",)), 64, "give --parallel=jit"),
        (Parallel("jit", "data:4,model:2", ("kernel",)), 64, "write PATTERN=DIMENSION"),
        (Parallel("jit", "data:4,model:2", ("bias=-1",)), 64, "kernel match none of the patterns"),
        (
            Parallel("jit", "data:4,model:2", ("kernel=0",)),
            64,
            "kernel of shape .3, 3, 3, 8. along",
        ),
        (Parallel("jit", "data:4,model:2", ("kernel=4",)), 64, "along dimension 4"),
    ],
)
def test_layouts_that_cannot_be_made_are_refused(parallel, batch, message):
    with pytest.raises(training.ConfigError, match=message):
        make_placement(parallel, SHAPES, batch)


def test_a_batch_cut_into_parts_must_divide_too():
    with pytest.raises(training.ConfigError, match="64 examples in 3 parts cannot be spread"):
        make_placement(JIT, SHAPES, 64, parts=3)


def test_groups_across_devices_that_pmap_cannot_make_are_refused():
    placement = make_placement(Parallel("pmap", "data:6"), SHAPES, 60)
    with pytest.raises(training.ConfigError, match="do not start and end with the 10 of a device"):
        placement.batch_statistics(BatchNormScope("group", 15), 60)
    with pytest.raises(training.ConfigError, match="give a divisor of the 60 examples"):
        placement.batch_statistics(BatchNormScope("group", 7), 60)
