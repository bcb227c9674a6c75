"""The random keys of a run: of initialization, of each stream, of each view, and of each step.

A key follows from the seed and numbers alone, so that a resumed run draws what it would have drawn.
"""

import jax
from jaxtyping import Array, Key

# Far beyond the numbers of epochs, which are folded into the same keys.
_BEYOND_EPOCHS = 0x5EED0000
_MOST_VIEWS = 256


def run_keys(seed: int) -> dict[str, Key[Array, ""]]:
    """Returns the keys of initial parameters, order, augmentation and dropout.

    Args:
        seed: the run's seed.
    """
    names = ("init", "order", "augment", "dropout")
    keys = jax.random.split(jax.random.key(seed), len(names))
    return dict(zip(names, keys, strict=True))


def order_key(key: Key[Array, ""], stream: int) -> Key[Array, ""]:
    """Returns the key of a stream's order; that of the first stream is the run's.

    Args:
        key: the run's key of order.
        stream: the stream's place among the run's streams, from 0.
    """
    return key if stream == 0 else jax.random.fold_in(key, _BEYOND_EPOCHS + stream)


def view_key(key: Key[Array, ""], stream: int, view: int) -> Key[Array, ""]:
    """Returns the key of a stream's view; that of the first stream's first view is the run's.

    Args:
        key: the run's key of augmentation.
        stream: the stream's place among the run's streams, from 0.
        view: the view's place among the stream's views, from 0.
    """
    if stream == 0 and view == 0:
        return key
    return jax.random.fold_in(key, _BEYOND_EPOCHS + _MOST_VIEWS * stream + view)


def step_key(key: Key[Array, ""], step: Array | int) -> Key[Array, ""]:
    """Returns the key of a step.

    Args:
        key: the run's key.
        step: number of steps done; for augmentation, the number of the order's block where each
            example comes once in it.
    """
    return jax.random.fold_in(key, step)
