"""Which device gets which examples, and which layouts are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import training
from cnnjax.data import evaluation_batches
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import make_placement
from tests.helpers.trees import largest_difference
from tests.training.devices.parallel_case import (
    BATCH,
    EXAMPLES,
    JIT,
    LAYOUTS,
    ONE,
    PMAP,
    SHAPES,
    SHARDED,
    Case,
    examples,
)


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
