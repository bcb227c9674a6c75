import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cnnjax.training.loop.feed import make_feed

from cnnjax import data, training
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import make_placement

STEPS = [0, 1, 2, 5, 3]


@pytest.fixture(params=["one device", "jit", "pmap"])
def placement(request):
    parallel = {
        "one device": Parallel(),
        "jit": Parallel("jit", "data:4"),
        "pmap": Parallel("pmap", "data:4"),
    }
    return make_placement(parallel[request.param], {}, batch_size=64)


def feeds(plan, data_dir, placement):
    """The same set kept on the device, and streamed."""
    for resident in ("always", "never"):
        examples = plan.load_train(data_dir, resident)
        yield make_feed(plan, examples, placement, data.ReadOptions(resident))


def placed_batches(feed, plan, placement, steps):
    """What the compiled step is given, in one piece."""

    def rows(step_in_epoch, *arguments):
        return feed.stored(step_in_epoch[0], *arguments)

    compiled = placement.compile_rows(rows)
    for step in steps:
        in_epoch = placement.replicate(jnp.array([step % plan.epoch_steps]))
        yield jax.device_get(compiled(in_epoch, *feed.arguments(step)))


def test_a_streamed_set_gives_the_batches_of_the_resident_one(tiny_config, data_dir, placement):
    plan = training.make_plan(tiny_config)
    resident, streamed = feeds(plan, data_dir, placement)
    pairs = zip(
        placed_batches(resident, plan, placement, STEPS),
        placed_batches(streamed, plan, placement, STEPS),
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


def test_the_batch_on_the_host_is_that_of_the_step(tiny_config, data_dir):
    placement = make_placement(Parallel("jit", "data:4"), {}, batch_size=64)
    plan = training.make_plan(tiny_config)
    for feed in feeds(plan, data_dir, placement):
        (placed,) = placed_batches(feed, plan, placement, [3])
        on_host = feed.host_batch(3)
        for name in placed:
            np.testing.assert_array_equal(placed[name], on_host[name])
        feed.close()


def test_a_step_asked_for_again_gets_the_same_batch_without_waiting(tiny_config, data_dir):
    placement = make_placement(Parallel(), {}, batch_size=64)
    plan = training.make_plan(tiny_config)
    _, feed = feeds(plan, data_dir, placement)
    (first,) = feed.arguments(1)
    waited = feed.waited_seconds
    assert waited > 0
    (second,) = feed.arguments(1)
    feed.close()
    assert first is second
    assert feed.waited_seconds == waited
