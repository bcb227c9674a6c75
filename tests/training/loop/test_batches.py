import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import data, recipes
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import make_placement
from cnnjax.training.loop.batches import Batches
from cnnjax.training.loop.sources import ReadSource, ResidentSource
from cnnjax.training.run import MAIN_STREAM

STEPS = [0, 1, 2, 5, 3]


@pytest.fixture(params=["one device", "jit", "pmap"])
def placement(request):
    parallel = {
        "one device": Parallel(),
        "jit": Parallel("jit", "data:4"),
        "pmap": Parallel("pmap", "data:4"),
    }
    return make_placement(parallel[request.param], {}, batch_size=64)


@pytest.fixture(scope="module")
def run(tiny_config, data_dir):
    return recipes.make_run(tiny_config, data_dir=data_dir)


def sources(run, placement):
    """The same set kept on the device, and streamed."""
    for resident in ("always", "never"):
        yield Batches(run, placement, data.ReadOptions(resident)).sources[MAIN_STREAM]


def placed_batches(source, placement, steps):
    """What the compiled step is given, in one piece."""

    def rows(step, *arguments):
        return {}, source.stored(step[0], *arguments)

    compiled = placement.compile_evaluation(rows)
    for step in steps:
        number = placement.replicate(jnp.array([step]))
        yield jax.device_get(compiled(number, *source.arguments(step))[1])


def test_a_streamed_set_gives_the_batches_of_the_resident_one(run, placement):
    resident, streamed = sources(run, placement)
    pairs = zip(
        placed_batches(resident, placement, STEPS),
        placed_batches(streamed, placement, STEPS),
        strict=True,
    )
    seen = []
    for one, other in pairs:
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
        seen.append(one["position"])
    streamed.close()
    # An epoch is two steps, in which every example comes once; the next has another order.
    assert sorted(np.concatenate(seen[:2])) == list(range(128))
    assert np.any(seen[0] != seen[2])


def test_a_stream_that_goes_around_gives_the_same_batches_kept_and_streamed(placement):
    """Its examples come again within a batch, and are distinguished by their rows."""
    images = np.arange(48 * 16, dtype=np.uint16).reshape(48, 4, 4, 1).astype(np.uint8)
    examples = data.from_arrays(image=images)
    order = data.Stream(examples, 64).make_order(jax.random.key(3), first=False)
    resident = ResidentSource(examples.arrays, order, placement)
    streamed = ReadSource(examples, order, placement, 0, data.ReadOptions("never"))
    steps = [0, 1, order.block_steps]
    for step, one, other in zip(
        steps,
        placed_batches(resident, placement, steps),
        placed_batches(streamed, placement, steps),
        strict=True,
    ):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
        np.testing.assert_array_equal(one["position"], data.positions_at(order, step))
        np.testing.assert_array_equal(one["image"], images[one["position"]])
        np.testing.assert_array_equal(one["draw"], np.arange(64))
    streamed.close()


def test_the_batch_on_the_host_is_that_of_the_step(run):
    placement = make_placement(Parallel("jit", "data:4"), {}, batch_size=64)
    for source in sources(run, placement):
        (placed,) = placed_batches(source, placement, [3])
        on_host = source.host_batch(3)
        assert placed.keys() == on_host.keys()
        for name in placed:
            np.testing.assert_array_equal(placed[name], on_host[name])
        source.close()


def test_a_repeated_step_gets_the_same_batch_without_waiting(run):
    placement = make_placement(Parallel(), {}, batch_size=64)
    _, source = sources(run, placement)
    (first,) = source.arguments(1)
    waited = source.waited_seconds
    assert waited > 0
    (second,) = source.arguments(1)
    source.close()
    assert first is second
    assert source.waited_seconds == waited
