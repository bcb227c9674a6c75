"""Training steps of networks of other libraries, and their times."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from cnnjax import ops
from cnnjax.compiler import compiler_options
from cnnjax.ops.conv import onednn
from scripts.benchmarks.timing import Times, interleaved

LIBRARIES = {"linen": "flax", "nnx": "flax", "haiku": "haiku", "equinox": "equinox"}
"""The libraries, and the packages that bring them."""


def training(
    library: str, ours: bool, batch: int, size: int, dtype: Any = jnp.float32
) -> tuple[Callable, Any]:
    """Returns a training step `state -> (state, loss)` of SGD with momentum, and its first state.

    Flax takes the convolution as an argument; the other libraries get it by `ops.use_in_lax`.

    Args:
        library: one of `LIBRARIES`.
        ours: whether our convolution takes the place of lax's.
        batch: images a step; the same ones each step.
        size: their height and width.
        dtype: of the parameters and the images.
    """
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.standard_normal((batch, size, size, 3)), dtype)
    labels = jnp.asarray(rng.integers(0, 10, batch))
    optimizer = optax.sgd(0.01, momentum=0.9)
    logits_of, params, rest = _network(library, ours, dtype, images)

    def loss_of(params, rest):
        by_lax = ours and library not in ("linen", "nnx")
        with ops.use_in_lax() if by_lax else contextlib.nullcontext():
            logits, rest = logits_of(params, rest)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), rest

    def step(state):
        params, rest, momentum = state
        (loss, rest), grads = jax.value_and_grad(loss_of, has_aux=True)(params, rest)
        updates, momentum = optimizer.update(grads, momentum, params)
        return (optax.apply_updates(params, updates), rest, momentum), loss

    return step, (params, rest, optimizer.init(params))


def _network(library: str, ours: bool, dtype: Any, images: jax.Array) -> tuple[Callable, Any, Any]:
    # Imported here, since Haiku and Equinox may be missing.
    folder = "scripts.benchmarks.drop_in"
    if library in ("linen", "nnx"):
        make = getattr(importlib.import_module(f"{folder}.flax_nets"), f"{library}_resnet18")
        convolution = ops.conv_general_dilated if ours else lax.conv_general_dilated
        return make(convolution, dtype, images)
    module = importlib.import_module(f"{folder}.{library}_net")
    return getattr(module, f"{library}_resnet18")(images)


def step_times(
    batch: int = 8,
    size: int = 64,
    repeats: int = 9,
    libraries: tuple[str, ...] = ("linen", "nnx"),
) -> dict[str, Times]:
    """Returns the times of one step, with lax's convolution and with ours.

    Args:
        batch: images a step.
        size: their height and width.
        repeats: interleaved rounds.
        libraries: some of `LIBRARIES`.

    Returns:
        The times by library.
    """
    found = {}
    for library in libraries:
        contestants = {}
        for name, ours, options in (
            ("lax", False, {}),
            ("lax, same options", False, compiler_options()),
            ("ours", True, None),
        ):
            step, state = training(library, ours, batch, size)
            if options is None:
                program = onednn.compiled(step, state)
            else:
                program = jax.jit(step, compiler_options=options).lower(state).compile()
            contestants[name] = functools.partial(_run, program, state)
        found[library] = interleaved(contestants, repeats)
    return found


def _run(program: Callable, state: Any) -> None:
    jax.block_until_ready(program(state))
