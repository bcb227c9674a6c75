"""Images a second of a network's training step, with synthetic data that is on the device.

    python -m scripts.benchmarks.throughput
    python -m scripts.benchmarks.throughput --model resnet18 --batch 512 --dtype float32

Forward, backward and SGD with momentum, one step dispatched after the other without waiting; a
round of `--steps` steps is timed as a whole, and the median round counts. Multiply-adds are those
of convolutions and dense layers in the forward pass, times three: the backward pass computes the
gradients by inputs and by kernels, each as costly. (The first layer has no gradient by its input,
which is counted nevertheless, as is usual.) The share of the peak is left out where the device's
peak is not known. A GPU may compute float32 products in TF32, unless `--no_tf32` is given.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cnnjax import analysis, models
from scripts.benchmarks.cases.whole_nets import WholeNet
from scripts.benchmarks.jax_step import JaxStep, compile_step
from scripts.benchmarks.machine import describe
from scripts.benchmarks.peaks import peak_flops

# The steps are not meant to learn.
LEARNING_RATE, MOMENTUM = 1e-6, 0.9
WARM_UP = 3


def main(argv: list[str] | None = None) -> None:
    """Prints the figures, and writes them as JSON with --out.

    Args:
        argv: the flags; None reads `sys.argv`.
    """
    flags = _flags(argv)
    on_gpu = jax.default_backend() == "gpu"
    if on_gpu and flags.no_tf32:
        jax.config.update("jax_default_matmul_precision", "float32")
    tf32 = on_gpu and flags.dtype == "float32" and not flags.no_tf32
    figures = _measure(flags, "tf32" if tf32 else flags.dtype)
    print("\n".join(f"{name:<28}{value}" for name, value in figures.items()))
    if flags.out:
        path = pathlib.Path(flags.out)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=1) + "\n")


def _measure(flags: argparse.Namespace, arithmetic: str) -> dict[str, Any]:
    """Returns the figures by name; products are computed in "bfloat16", "tf32" or "float32"."""
    try:
        model = models.create_model(
            flags.model, dtype=jnp.dtype(flags.dtype), backward=flags.backward
        )
    except ValueError as error:
        sys.exit(f"throughput: --model: {error}")
    net = WholeNet(flags.model, flags.model, flags.batch, (flags.size, flags.size, flags.channels))
    rng = np.random.default_rng(0)
    images = rng.standard_normal((net.batch, *net.image)).astype(np.float32)
    labels = rng.integers(0, model.num_classes, net.batch).astype(np.int32)
    variables = jax.jit(model.init)(jax.random.key(0), images[:1])
    optimizer = optax.sgd(LEARNING_RATE, momentum=MOMENTUM)
    step = compile_step(net, model, variables, images, labels, optimizer)
    seconds = _rounds(step, flags.steps, flags.rounds) / flags.steps
    low, median, high = np.percentile(seconds, [25, 50, 75]).tolist()
    products = 3 * net.batch * analysis.multiply_adds(model, net.image)
    device = jax.devices()[0]
    figures: dict[str, Any] = {
        "command": "python -m scripts.benchmarks.throughput " + " ".join(sys.argv[1:]),
        "machine": describe(),
        "model": flags.model,
        "backward": flags.backward,
        "arithmetic": arithmetic,
        "batch": net.batch,
        "image": list(net.image),
        "images/s": round(net.batch / median, 1),
        "images/s, quartiles": [round(net.batch / high, 1), round(net.batch / low, 1)],
        "ms a step": round(1e3 * median, 3),
        "compile s": round(step.compile_seconds, 1),
        # More digits would be noise.
        "multiply-adds/s": float(f"{products / median:.4g}"),
    }
    peak = peak_flops(device.device_kind, arithmetic)
    if peak is not None:
        figures["share of peak"] = round(2 * products / median / peak, 4)
    analyzed = step.program.memory_analysis()
    if analyzed is not None:
        # The new state is in the old one's memory, which must not count twice.
        held = analyzed.argument_size_in_bytes + analyzed.output_size_in_bytes
        held += analyzed.temp_size_in_bytes - analyzed.alias_size_in_bytes
        figures["peak memory MB, compiler"] = round(held / 1e6, 1)
    measured = (device.memory_stats() or {}).get("peak_bytes_in_use")
    if measured is not None:
        figures["peak memory MB, device"] = round(measured / 1e6, 1)
    return figures


def _rounds(step: JaxStep, steps: int, rounds: int) -> np.ndarray:
    """Returns the seconds of each round."""
    for _ in range(WARM_UP):
        step()
    seconds = []
    for _ in range(rounds):
        jax.block_until_ready(step.state)
        start = time.perf_counter()
        for _ in range(steps):
            step()
        jax.block_until_ready(step.state)
        seconds.append(time.perf_counter() - start)
    return np.array(seconds)


def _flags(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="resnet50", help="a name of the registry")
    parser.add_argument("--batch", type=_positive, default=256, help="images a step")
    parser.add_argument("--size", type=_positive, default=224, help="height and width of an image")
    parser.add_argument("--channels", type=_positive, default=3)
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16"])
    parser.add_argument("--backward", default="ours", choices=["ours", "native"])
    parser.add_argument("--no_tf32", action="store_true", help="float32 products in full, on a GPU")
    parser.add_argument("--steps", type=_positive, default=20, help="steps of a round")
    parser.add_argument("--rounds", type=_positive, default=7)
    parser.add_argument("--out", default="", help="JSON file of the figures")
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 up")
    return int(text)


if __name__ == "__main__":
    main()
