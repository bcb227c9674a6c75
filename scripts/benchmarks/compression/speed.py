"""Times a training step and predictions of networks without 30 % of their multiply-adds.

    python -m scripts.benchmarks.compression.speed [--saved 0.3] [--multiple 1] [--rank 0] \
        [--repeats 30] [--only REGEX] [--out OUT.json]

The whole network and the smaller one run in turn, in one process. The values of the weights do not
matter to the time: they are random. With --multiple, each layer keeps a multiple of so many
channels; with --rank, convolutions are replaced by ones of that rank.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax

from cnnjax import compression, models, nn, ops, tasks, training, writing
from cnnjax.training.step.state import create_state
from scripts.benchmarks.machine import describe
from scripts.benchmarks.timing import interleaved

CASES = {"resnet20_cifar": 128, "vgg11_bn": 32, "lenet5": 128}
"""The networks and the images in a batch."""

SHAPES = {"lenet5": (32, 32, 1)}

CLASSES = tuple("0123456789")


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark, prints a line for each network and writes the results.

    Args:
        argv: the flags; None reads `sys.argv`.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--saved", type=float, default=0.3)
    parser.add_argument("--multiple", type=int, default=1)
    parser.add_argument("--rank", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", default=None)
    flags = parser.parse_args(argv)
    training.keep_freed_memory()
    rows = [
        measure(name, batch, flags) for name, batch in CASES.items() if re.search(flags.only, name)
    ]
    if flags.out:
        writing.write_json(flags.out, {"machine": describe(), "rows": rows})


def measure(name: str, batch: int, flags: argparse.Namespace) -> dict[str, Any]:
    """Returns the times of a network and of the smaller one, and prints them.

    Args:
        name: of the network.
        batch: images in a batch.
        flags: the command's: how the network is made smaller, and the rounds.
    """
    shape = SHAPES.get(name, (32, 32, 3))
    net = models.create_model(name, len(CLASSES))
    images = jnp.asarray(np.random.default_rng(0).normal(size=(batch, *shape)), jnp.float32)
    variables = jax.jit(lambda key: nn.init_network(net, key, images))(jax.random.key(0))
    small, its, before = net, variables, None
    if flags.saved:
        pruned = compression.prune_filters(
            net, variables, shape, multiply_adds=flags.saved, multiple=flags.multiple
        )
        small, its, before = pruned.model, pruned.variables, pruned.multiply_adds
    if flags.rank:
        decomposed = compression.decompose(small, its, shape, flags.rank)
        first = before[0] if before else decomposed.multiply_adds[0]
        small, its = decomposed.model, decomposed.variables
        before = (first, decomposed.multiply_adds[1])
    row: dict[str, Any] = {"network": name, "batch": batch, "multiply_adds": before}
    for what, make in (("step", _step), ("prediction", _prediction)):
        times = interleaved(
            {"whole": make(net, variables, images), "smaller": make(small, its, images)},
            flags.repeats,
        )
        low, high = times.ratio_bounds("whole", "smaller")
        row[what] = {
            "whole_ms": 1e3 * times.median("whole"),
            "smaller_ms": 1e3 * times.median("smaller"),
            "speed_up": times.ratio("whole", "smaller"),
            "bounds": [low, high],
        }
        print(
            f"{name} {what}, {batch} images: {row[what]['whole_ms']:.2f} ms, smaller "
            f"{row[what]['smaller_ms']:.2f} ms, {row[what]['speed_up']:.2f} times as fast "
            f"({low:.2f} to {high:.2f})",
            flush=True,
        )
    return row


def _prediction(
    model: linen.Module, variables: Mapping[str, Any], images: jax.Array
) -> Callable[[], object]:
    predict = ops.jit(lambda v, x: nn.apply_network(model, v, x, train=False))
    return lambda: jax.block_until_ready(predict(variables, images))


def _step(
    model: linen.Module, variables: Mapping[str, Any], images: jax.Array
) -> Callable[[], object]:
    task, optimizer = tasks.Classification(CLASSES), optax.sgd(0.01, momentum=0.9)
    state = create_state(dict(variables), optimizer)
    batch = {
        "image": images,
        "label": jnp.zeros(len(images), jnp.int32),
        "weight": jnp.ones(len(images)),
    }
    step = ops.jit(
        lambda state, batch, key: training.train_step(
            state, batch, key, model=model, task=task, optimizer=optimizer
        )[0]
    )
    key = jax.random.key(0)
    return lambda: jax.block_until_ready(step(state, batch, key))


if __name__ == "__main__":
    main()
