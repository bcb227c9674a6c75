"""What the tests of parallel training train: a small CIFAR ResNet on sixteen-pixel images."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cnnjax import models, training
from cnnjax.tasks import Classification
from cnnjax.training.parallel import make_placement
from cnnjax.training.pipeline import take_positions
from cnnjax.training.schema import BatchNormConfig
from cnnjax.training.state import create_state, init_variables

BATCH = 64
EXAMPLES = 128
CLASSES = 10
GLOBAL = BatchNormConfig()
SHARD_KERNELS = ("stage[23].*/kernel=-1", ".*=replicated")


def examples(dtype):
    """Returns images in which each class has a pattern under noise, and their labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, EXAMPLES).astype(np.int32)
    patterns = rng.normal(size=(CLASSES, 16, 16, 3))
    noise = rng.normal(size=(EXAMPLES, 16, 16, 3))
    return (patterns[labels] + noise).astype(dtype), labels


class Case:
    """The net under one placement.

    Args:
        parallel: how it is spread.
        dtype: of images, parameters and statistics.
        scope: which examples share batch statistics.
        fields: changes to the net.
    """

    def __init__(self, parallel, dtype, scope=GLOBAL, **fields):
        self.task = Classification(tuple("0123456789"))
        self.optimizer = optax.sgd(0.1, momentum=0.9)
        fields = {"widths": (8, 16, 32), **fields}
        self.net = models.create_model("resnet8_cifar", dtype=dtype, **fields)
        variables = init_variables(self.net, jax.random.key(0), (16, 16, 3))
        variables = jax.tree.map(lambda leaf: leaf.astype(dtype), variables)
        state = create_state(variables, self.optimizer)
        self.placement = make_placement(parallel, state.params, BATCH)
        self.model = self.placement.bind(self.net, scope, BATCH)
        self.state = self.placement.place(state)
        order = np.random.default_rng(1).permutation(EXAMPLES).astype(np.int32)
        self.data = self.placement.replicate((*examples(dtype), order))
        self.step = self.placement.compile_step(self.advance, self.state, *self.data)

    def advance(self, state, images, labels, order):
        """The step, from data that every device has whole."""
        number = state.step % (EXAMPLES // BATCH)
        positions = self.placement.split(take_positions(order, number, BATCH))
        batch = {
            "image": images[positions],
            "label": labels[positions],
            "weight": jnp.ones(positions.shape, images.dtype),
        }
        return training.train_step(
            state,
            batch,
            jax.random.key(1),
            model=self.model,
            task=self.task,
            optimizer=self.optimizer,
            axis_name=self.placement.axis_name,
        )

    def run(self, steps):
        """Trains, and returns the mean loss of each step."""
        losses = []
        for _ in range(steps):
            self.state, sums = self.step(self.state, *self.data)
            losses.append(float(sums["loss"]) / float(sums["weight"]))
        return losses
