"""A network whose logits are its input, and batches, for the tests of classification."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.tasks import Classification
from cnnjax.tasks.base import Moment

_DRAWS = np.random.default_rng(0)
LOGITS = _DRAWS.normal(size=(20, 10)) * 3
LABELS = _DRAWS.integers(0, 10, 20)


class Scores(linen.Module):
    """A network whose logits are its input, with one running statistic."""

    @linen.compact
    def __call__(self, x, train=False):
        count = self.variable("batch_stats", "count", lambda: jnp.float32(0))
        if train:
            count.value = count.value + 1
        return x


def batch_of(logits, labels, weight=None):
    weight = np.ones(len(labels)) if weight is None else weight
    return {
        "image": jnp.asarray(logits, jnp.float32),
        "label": jnp.asarray(labels, jnp.int32),
        "weight": jnp.asarray(weight, jnp.float32),
    }


def run(task, batch, train):
    variables = {"params": {}, "batch_stats": {"count": jnp.float32(0)}}
    return task.loss(Scores(), variables, batch, moment(task, batch, train))


def moment(task, batch, train):
    return Moment(jax.random.key(0), train, totals=task.totals(batch))


def sums_of(logits, labels, weight=None, classes=10):
    """The sums of an evaluated batch."""
    task = Classification(tuple(map(str, range(classes))))
    batch = batch_of(logits, labels, weight)
    variables = {"params": {}, "batch_stats": {"count": jnp.float32(0)}}
    sums, rows = task.evaluate(Scores(), variables, batch, moment(task, batch, False))
    assert rows == {}
    return sums
