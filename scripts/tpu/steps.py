"""Compiles a network's training step for TPU chips that are only described."""

from __future__ import annotations

import time
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec

from cnnjax import models, nn
from cnnjax.analysis.cost.tpu import described_chips, whole_on
from scripts.benchmarks.cases.whole_nets import WholeNet
from scripts.benchmarks.jax_step import make_step
from scripts.tpu.nets import IMAGES
from scripts.tpu.programs import collectives, fusions

AXIS = "data"


def versions() -> dict[str, str]:
    """Returns the versions on which a compiled program depends."""
    return {name: metadata.version(name) for name in ("jax", "jaxlib", "libtpu")}


def compile_row(net: WholeNet, chips: int, backward: str, dtype: str = "bfloat16") -> dict:
    """Returns what the compiler says of a step, for each of the chips.

    Args:
        net: the network.
        chips: over which the batch is spread.
        backward: "ours" or "native".
        dtype: of the computation; parameters are float32.
    """
    compiled, seconds = _compile(net, chips, backward, dtype)
    cost: Any = compiled.cost_analysis()
    plan: Any = compiled.memory_analysis()
    text = compiled.as_text() or ""
    return {
        "net": net.label,
        "model": net.model,
        "chips": chips,
        "images_per_chip": IMAGES[net.image[0]],
        "image": list(net.image),
        "backward": backward,
        "dtype": dtype,
        "flops": cost["flops"],
        "bytes_accessed": cost["bytes accessed"],
        "temporary_bytes": plan.temp_size_in_bytes,
        "argument_bytes": plan.argument_size_in_bytes,
        "code_bytes": plan.generated_code_size_in_bytes,
        "fusions": fusions(text),
        "collectives": collectives(text),
        "compile_seconds": round(seconds, 1),
        "versions": versions(),
    }


def _compile(
    net: WholeNet, chips: int, backward: str, dtype: str
) -> tuple[jax.stages.Compiled, float]:
    mesh = described_chips(chips, AXIS)
    model = models.create_model(
        net.model, dtype=jnp.dtype(dtype), backward=backward, **net.overrides
    )
    optimizer = optax.sgd(net.learning_rate, momentum=0.9)
    batch = chips * IMAGES[net.image[0]]
    images = jax.ShapeDtypeStruct((batch, *net.image), jnp.float32)
    labels = jax.ShapeDtypeStruct((batch,), jnp.int32)
    one = jax.ShapeDtypeStruct((1, *net.image), jnp.float32)
    collections = dict(jax.eval_shape(model.init, jax.random.key(0), one))
    params = collections.pop("params")
    state = params, collections, jax.eval_shape(optimizer.init, params)
    step = make_step(net, model, optimizer)

    def cut(*arguments):
        # As `--parallel=jit` does: grouped convolutions of each chip's own examples.
        with nn.batch_over(mesh, AXIS):
            return step(*arguments)

    whole, rows = whole_on(mesh), NamedSharding(mesh, PartitionSpec(AXIS))
    jitted = jax.jit(
        cut if chips > 1 else step,
        in_shardings=(whole, rows, rows),
        out_shardings=(whole, whole),
        donate_argnums=0,
    )
    lowered = jitted.lower(state, images, labels)
    start = time.perf_counter()
    return lowered.compile(), time.perf_counter() - start
