import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.training.step.keys import order_key, run_keys, step_key, view_key

KEY = jax.random.key(0)


def numbers(keys):
    return np.asarray(jax.random.key_data(keys)).tolist()


def test_keys_of_a_run_are_parts_of_its_seed():
    keys = run_keys(3)
    assert list(keys) == ["init", "order", "augment", "dropout"]
    expected = jax.random.split(jax.random.key(3), 4)
    assert [numbers(key) for key in keys.values()] == numbers(expected)


def test_keys_of_streams_are_none_that_an_epoch_has():
    keys = {tuple(numbers(order_key(KEY, stream))) for stream in range(1, 4)}
    epochs = jax.vmap(lambda epoch: step_key(KEY, epoch))(jnp.arange(1000))
    assert len(keys) == 3
    assert not keys & set(map(tuple, numbers(epochs)))
    assert order_key(KEY, 0) is KEY


def test_keys_of_views_are_none_that_an_epoch_has():
    keys = {tuple(numbers(view_key(KEY, stream, view))) for stream in range(3) for view in range(3)}
    epochs = jax.vmap(lambda epoch: step_key(KEY, epoch))(jnp.arange(1000))
    assert len(keys) == 9
    assert not keys & set(map(tuple, numbers(epochs)))
    assert view_key(KEY, 0, 0) is KEY
