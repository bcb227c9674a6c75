"""What several passes or devices changed in collections becomes one state."""

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.training.step.changes import add_changes, apply_mean, changes, sum_changes

BEFORE = {
    "mean": jnp.float32([0.1, 1 / 3, -7.7]),
    "calls": jnp.int32(4),
    "key": jax.random.key(1),
    "flag": jnp.array(False),
}


def after(shift, **others):
    return {**BEFORE, "mean": BEFORE["mean"] + jnp.float32(shift), "calls": jnp.int32(5), **others}


def test_the_mean_of_changes_is_the_mean_of_states():
    total = changes(BEFORE, after(1.0))
    for shift in (2.0, 6.0):
        total = add_changes(total, changes(BEFORE, after(shift, flag=jnp.array(True))))
    settled = apply_mean(BEFORE, total, 3)
    np.testing.assert_allclose(settled["mean"], BEFORE["mean"] + 3.0, rtol=1e-6)
    assert int(settled["calls"]) == 5 and settled["calls"].dtype == jnp.int32
    assert bool(settled["flag"])


def test_what_nobody_changed_stays_to_the_bit():
    # The plain mean of three equal numbers moves: (0.1 + 0.1 + 0.1) / 3 in float32.
    total = changes(BEFORE, BEFORE)
    for _ in range(2):
        total = add_changes(total, changes(BEFORE, BEFORE))
    settled = apply_mean(BEFORE, total, 3)
    for name in ("mean", "calls", "flag"):
        np.testing.assert_array_equal(settled[name], BEFORE[name])
    assert jnp.array_equal(jax.random.key_data(settled["key"]), jax.random.key_data(BEFORE["key"]))


def test_devices_add_up_their_changes():
    before = {"mean": jnp.float32([0.1, 1 / 3]), "calls": jnp.int32(0)}

    def device(shift):
        own = {"mean": before["mean"] + shift, "calls": before["calls"] + 1}
        return apply_mean(before, sum_changes(changes(before, own), "device"), 3)

    settled = jax.vmap(device, axis_name="device")(jnp.float32([0.0, 3.0, 6.0]))
    np.testing.assert_allclose(settled["mean"][1], before["mean"] + 3, rtol=1e-6)
    np.testing.assert_array_equal(settled["calls"], [1, 1, 1])
