"""One training step of a network, in the ways that the benchmark compares."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cnnjax import models, training
from scripts.benchmarks.cases.whole_nets import WholeNet
from scripts.benchmarks.jax_step import compile_step
from scripts.benchmarks.plain_flax import PLAIN_OPTION

MOMENTUM = 0.9
Facts = dict[str, float | None]
COLUMNS = ("ours", "native", "native, option", "flax", "torch", "torch compiled")
_ON_CPU = ("ours", "native", "native, option", "flax", "torch")
# The compiler option is the CPU compiler's.
_ON_ACCELERATORS = ("ours", "native", "flax", "torch", "torch compiled")


def default_columns(platform: str) -> tuple[str, ...]:
    """Returns the ways that are compared on a platform.

    Args:
        platform: JAX's name of it, such as "cpu" or "gpu".
    """
    return _ON_CPU if platform == "cpu" else _ON_ACCELERATORS


@dataclasses.dataclass
class Contestant:
    """A way to do a step; each holds a state of its own and moves it.

    Attributes:
        step: does a step, waits for it, and returns the loss before the update.
        temp_mb: the program's peak temporary memory, where the compiler reports it.
        compile_seconds: time to compile the step; for PyTorch, its first step.
        program: the compiled program, where there is one.
    """

    step: Callable[[], float]
    temp_mb: float | None = None
    compile_seconds: float | None = None
    program: jax.stages.Compiled | None = None


def contestants(
    net: WholeNet,
    with_torch: bool,
    wanted: tuple[str, ...],
    dtype: str = "float32",
) -> dict[str, Contestant]:
    """Returns the ways to train a network, all from the same weights on the same batch.

    Args:
        net: the network and its batch.
        with_torch: whether PyTorch is installed and takes part.
        wanted: some of `COLUMNS`.
        dtype: of the networks' computation; parameters are float32.

    Returns:
        The contestants by their names in `COLUMNS`.
    """
    model = models.create_model(net.model, dtype=jnp.dtype(dtype), **net.overrides)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((net.batch, *net.image)).astype(np.float32)
    labels = rng.integers(0, model.num_classes, net.batch).astype(np.int32)
    variables = jax.jit(model.init)(jax.random.key(0), images[:1])
    ours, native = model, model.clone(backward="native")
    ways: dict[str, tuple[Any, dict[str, Any] | None, bool]] = {
        "ours": (ours, None, False),
        "native": (native, {}, False),
        "native, option": (native, PLAIN_OPTION, False),
        "flax": (native, {}, True),
    }
    sgd = optax.sgd(net.learning_rate, momentum=MOMENTUM)
    made = {}
    for name, (each, options, plain) in ways.items():
        if name in wanted:
            step = compile_step(net, each, variables, images, labels, sgd, options, plain=plain)
            made[name] = _waiting(step)
            # On a GPU this takes up to a minute.
            print(f"{net.label}: compiled {name} in {step.compile_seconds:.1f} s", flush=True)
    for name in ("torch", "torch compiled"):
        if with_torch and name in wanted:
            from scripts.benchmarks.pytorch.step import torch_step

            step = torch_step(
                *(net, model, variables, images, labels),
                learning_rate=net.learning_rate,
                momentum=MOMENTUM,
                device=torch_device(),
                dtype=dtype,
                compiled=name == "torch compiled",
            )
            made[name] = Contestant(step) if name == "torch" else _compiled_at_first(step)
    return made


def alone(net: WholeNet, name: str, dtype: str, tf32: bool) -> tuple[Callable[[], float], Facts]:
    """Makes one way to train a network, in a process that has no other.

    Args:
        net: the network and its batch.
        name: of `COLUMNS`.
        dtype: of the network's computation.
        tf32: whether a GPU may compute float32 products in TF32.

    Returns:
        The step of a `Contestant`, and its other attributes.
    """
    training.keep_freed_memory()
    if jax.default_backend() == "gpu" and not tf32:
        jax.config.update("jax_default_matmul_precision", "float32")
    if name.startswith("torch"):
        from scripts.benchmarks.pytorch.step import set_up

        set_up(torch_device(), os.cpu_count() or 1, tf32)
    way = contestants(net, True, (name,), dtype)[name]
    return way.step, {"temp_mb": way.temp_mb, "compile_seconds": way.compile_seconds}


def torch_device() -> str:
    """Returns PyTorch's name of the device that JAX uses."""
    return "cuda" if jax.default_backend() == "gpu" else "cpu"


def _waiting(step: Any) -> Contestant:
    def run() -> float:
        loss = step()
        # The state too: the loss is ready before the update is.
        return float(jax.block_until_ready((step.state, loss))[1])

    return Contestant(run, step.temp_mb, step.compile_seconds, step.program)


def _compiled_at_first(step: Callable[[], float]) -> Contestant:
    """Returns a contestant whose first step compiles, forward and backward."""

    def first() -> float:
        start = time.perf_counter()
        loss = step()
        made.compile_seconds, made.step = time.perf_counter() - start, step
        return loss

    made = Contestant(first)
    return made
