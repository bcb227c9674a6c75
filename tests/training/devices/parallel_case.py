"""What the tests of parallel training train: a small CIFAR ResNet on sixteen-pixel images."""

import sys

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax

from cnnjax import models, nn, training
from cnnjax.data import evaluation_batches
from cnnjax.patterns import path_names
from cnnjax.tasks import Classification
from cnnjax.training.devices import processes as distributed
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import BatchNormScope, make_placement
from cnnjax.training.step.state import create_state
from cnnjax.training.step.step import StepOptions

BATCH = 64
EXAMPLES = 128
CLASSES = 10
GLOBAL = BatchNormScope()
SHARD_KERNELS = ("stage[23].*/kernel=-1", ".*=replicated")

ONE = Parallel()
JIT = Parallel("jit")
SHARDED = Parallel("jit", "data:4,model:2", SHARD_KERNELS)
PMAP = Parallel("pmap")
LAYOUTS = {"jit": JIT, "sharded": SHARDED, "pmap": PMAP}
"""Layouts of eight devices."""

MULTI_PROCESS = {"jit": SHARDED, "pmap": PMAP}

SHAPES = {"kernel": jax.ShapeDtypeStruct((3, 3, 3, 8), jnp.float32)}
"""Parameters of a placement that places none."""


def examples(dtype):
    """Returns images in which each class has a pattern under noise, and their labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, EXAMPLES).astype(np.int32)
    patterns = rng.normal(size=(CLASSES, 16, 16, 3))
    noise = rng.normal(size=(EXAMPLES, 16, 16, 3))
    return (patterns[labels] + noise).astype(dtype), labels


class PlainLinen(linen.Module):
    """A network without layers of this package: grouped convolution and batch norm of flax."""

    @linen.compact
    def __call__(self, x, train=False):
        for features, groups in ((8, 1), (16, 4)):
            x = linen.Conv(features, (3, 3), strides=2, feature_group_count=groups)(x)
            x = linen.BatchNorm(use_running_average=not train, momentum=0.9)(x)
            x = linen.relu(x)
        return linen.Dense(CLASSES)(x.mean(axis=(1, 2)))


class Case:
    """The net under one placement.

    Args:
        parallel: how it is spread.
        dtype: of images, parameters and statistics.
        scope: which examples share batch statistics.
        parts: number of parts into which the batch is cut.
        net: another network.
        frozen: modules whose batch statistics are to stay as they are.
        fields: changes to the net.
    """

    def __init__(self, parallel, dtype, scope=GLOBAL, parts=1, net=None, frozen=(), **fields):
        self.scope, self.parts, self.frozen = scope, parts, frozen
        self.options = StepOptions(accumulate=parts)
        self.task = Classification(tuple("0123456789"))
        self.optimizer = optax.sgd(0.1, momentum=0.9)
        fields = {"widths": (8, 16, 32), **fields}
        self.net = net or models.create_model("resnet8_cifar", dtype=dtype, **fields)
        state = self.first_state(dtype)
        self.placement = make_placement(parallel, state.params, BATCH, parts)
        self.state = self.placement.place(state)
        order = np.random.default_rng(1).permutation(EXAMPLES).astype(np.int32)
        self.data = self.placement.replicate((*examples(dtype), order))
        self.step = self.placement.compile_step(self.advance, self.state, *self.data)

    def first_state(self, dtype):
        """The state before the first step, all of it in one dtype."""

        @jax.jit  # without it, one operation at a time, it takes longer
        def init(key):
            variables = nn.init_network(self.net, key, jnp.zeros((1, 16, 16, 3), jnp.float32))
            variables = jax.tree.map(lambda leaf: leaf.astype(dtype), variables)
            return create_state(variables, self.optimizer)

        return init(jax.random.key(0))

    def advance(self, state, images, labels, order):
        """The step, from data that every device has whole."""
        number = state.step % (EXAMPLES // BATCH)
        chosen = jax.lax.dynamic_slice_in_dim(order, number * BATCH, BATCH)
        positions = self.placement.split(chosen)
        batch = {
            "image": images[positions],
            "label": labels[positions],
            "weight": jnp.ones(positions.shape, images.dtype),
        }
        scope = self.placement.batch_statistics(self.scope, BATCH // self.parts)
        with scope, nn.batch_statistics(frozen=self.frozen):
            return training.train_step(
                state,
                batch,
                jax.random.key(1),
                model=self.net,
                task=self.task,
                optimizer=self.optimizer,
                options=self.options,
                axis_name=self.placement.axis_name,
            )

    def run(self, steps):
        """Trains, and returns the mean loss of each step."""
        losses = []
        for _ in range(steps):
            self.state, result = self.step(self.state, *self.data)
            losses.append(float(result.loss))
        return losses


def main(arguments):
    """Trains as one of several processes, under jit and under pmap, and writes what came out."""
    coordinator, count, number, steps, output = arguments
    jax.config.update("jax_enable_x64", True)
    with distributed.joined(coordinator, int(count), int(number)):
        results = {}
        for name, layout in MULTI_PROCESS.items():
            case = Case(layout, np.float64)
            results[f"{name}/losses"] = np.array(case.run(int(steps)))
            state = case.placement.fetch(case.state)
            for path, leaf in zip(path_names(state), jax.tree.leaves(state), strict=True):
                results[f"{name}/{path}"] = leaf
            own = case.state.params["conv1"]["kernel"].addressable_shards
            results[f"{name}/devices"] = np.array([shard.device.id for shard in own])
            total = count_examples(case.placement)
            results[f"{name}/counted"] = total
        np.savez(f"{output}-{number}.npz", **results)


def count_examples(placement):
    """Returns how often an evaluation in batches of 24 meets each example."""

    def seen(positions, weights):
        positions, weights = placement.split(positions), placement.split(weights)
        return jnp.zeros(EXAMPLES).at[positions].add(weights)

    counted = placement.compile_sums(seen)
    return sum(
        np.asarray(jax.device_get(counted(*placement.replicate(batch))))
        for batch in evaluation_batches(EXAMPLES, placement.round_up(24))
    )


if __name__ == "__main__":
    main(sys.argv[1:])
