"""A run small enough for the CPU, and the context in which it computes."""

import contextlib
import dataclasses

import jax
import numpy as np

from cnnjax import data
from experiments.speedrun.recipes import RECIPES, Lookahead

SIZE = 16

# Everything that a recipe can contain, within three epochs.
RECIPE = dataclasses.replace(
    RECIPES["muon"].resized(epochs=3, batch_size=8), lookahead=Lookahead(1, 2, 0.9, 2.0)
)
PREPROCESS = data.Preprocess(None, 0, (0.5,) * 3, (0.25,) * 3)


@contextlib.contextmanager
def promotion_and_keys():
    """Allows optax to mix dtypes in its own arithmetic, with keys that compile fast on CPU."""
    with jax.numpy_dtype_promotion("standard"), jax.default_prng_impl("rbg"):
        yield


def pictures(count, seed):
    """Returns noisy images of two classes, which differ in the half that is bright, and labels."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 2).astype(np.int32)
    images = rng.integers(0, 80, (count, SIZE, SIZE, 3))
    images[labels == 1, : SIZE // 2] += 150
    images[labels == 0, SIZE // 2 :] += 150
    return images.astype(np.uint8), labels
