"""Small images whose masks and logits are random, with the definitions in NumPy."""

import flax.linen as linen
import jax.numpy as jnp
import numpy as np

from cnnjax.tasks.base import Moment

CLASSES = 4
NAMES = ("ground", "a", "b", "c")
WEIGHTS = (0.5, 1.0, 2.0, 4.0)
IGNORED = 255


class Shown(linen.Module):
    """A network whose logits are its input."""

    @linen.compact
    def __call__(self, x, train=False):
        return x


def random_batch(images=5, size=(6, 7), seed=0, ignored=0.2):
    """Logits as images, and masks of which a share does not count."""
    draws = np.random.default_rng(seed)
    logits = draws.normal(size=(images, *size, CLASSES)) * 3
    masks = draws.integers(0, CLASSES, (images, *size))
    masks[draws.random(masks.shape) < ignored] = IGNORED
    return logits.astype(np.float32), masks.astype(np.uint8)


def batch_of(logits, masks, weight=None):
    weight = np.ones(len(masks)) if weight is None else weight
    return {
        "image": jnp.asarray(logits),
        "mask": jnp.asarray(masks),
        "weight": jnp.asarray(weight, jnp.float32),
    }


def moment_of(totals, train=False):
    import jax

    return Moment(jax.random.key(0), train=train, totals=totals)


def cross_entropies(logits, masks):
    """The cross-entropy of each pixel by its definition; 0 where the label has no class."""
    wide = logits.astype(np.float64)
    exps = np.exp(wide - wide.max(axis=-1, keepdims=True))
    shares = exps / exps.sum(axis=-1, keepdims=True)
    losses = np.zeros(masks.shape)
    for place in np.ndindex(masks.shape):
        if masks[place] < CLASSES:
            losses[place] = -np.log(shares[place][masks[place]])
    return losses


def confusion_of(predicted, masks):
    """Pixel by pixel."""
    counts = np.zeros((CLASSES, CLASSES), int)
    for guess, truth in zip(predicted.reshape(-1), masks.reshape(-1), strict=True):
        if truth < CLASSES:
            counts[truth, guess] += 1
    return counts


def ious_of(predicted, masks):
    """The IoU of each class by sets of pixels; None where it is in neither."""
    places = masks < CLASSES
    found = []
    for c in range(CLASSES):
        guess, truth = (predicted == c) & places, (masks == c) & places
        either = (guess | truth).sum()
        found.append(None if not either else (guess & truth).sum() / either)
    return found


def mean(values):
    known = [value for value in values if value is not None]
    return sum(known) / len(known)
