"""ResNet-18 in plain flax.linen and flax.nnx, with lax's convolution or with cnnjax's dropped in.

The nets are He 2016, table 1 (18 layers), written as flax users write them: the only thing that
changes is `conv_general_dilated`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flax.linen
import flax.nnx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from cnnjax import ops
from cnnjax.compiler import compiler_options
from scripts.benchmarks.timing import Times, interleaved

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))


class LinenBlock(flax.linen.Module):
    """Two 3x3 convolutions and a shortcut."""

    filters: int
    stride: int
    conv: Callable
    norm: Callable

    @flax.linen.compact
    def __call__(self, x):
        """Returns the block's output.

        Args:
            x: NHWC.
        """
        y = self.conv(self.filters, (3, 3), strides=self.stride, padding=1)(x)
        y = flax.linen.relu(self.norm()(y))
        y = self.norm()(self.conv(self.filters, (3, 3), padding=1)(y))
        if x.shape != y.shape:
            x = self.norm()(self.conv(self.filters, (1, 1), strides=self.stride)(x))
        return flax.linen.relu(x + y)


class LinenResNet18(flax.linen.Module):
    """ResNet-18 in Linen."""

    convolution: Callable
    dtype: Any = jnp.float32
    num_classes: int = 10

    @flax.linen.compact
    def __call__(self, x):
        """Returns logits.

        Args:
            x: images, NHWC.
        """
        conv = functools.partial(
            flax.linen.Conv,
            use_bias=False,
            param_dtype=self.dtype,
            conv_general_dilated=self.convolution,
        )
        norm = functools.partial(
            flax.linen.BatchNorm, use_running_average=False, param_dtype=self.dtype
        )
        x = flax.linen.relu(norm()(conv(64, (7, 7), strides=2, padding=3)(x)))
        x = flax.linen.max_pool(x, (3, 3), (2, 2), "SAME")
        for filters, stride in STAGES:
            x = LinenBlock(filters, stride, conv, norm)(x)
            x = LinenBlock(filters, 1, conv, norm)(x)
        return flax.linen.Dense(self.num_classes, param_dtype=self.dtype)(x.mean((1, 2)))


class NnxBlock(flax.nnx.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, channels: int, filters: int, stride: int, conv: Callable, norm: Callable):
        """Makes the layers."""
        self.conv1 = conv(channels, filters, (3, 3), strides=stride, padding=1)
        self.norm1 = norm(filters)
        self.conv2 = conv(filters, filters, (3, 3), padding=1)
        self.norm2 = norm(filters)
        self.projected = channels != filters or stride != 1
        if self.projected:
            self.shortcut = conv(channels, filters, (1, 1), strides=stride)
            self.shortcut_norm = norm(filters)

    def __call__(self, x):
        """Returns the block's output.

        Args:
            x: NHWC.
        """
        y = flax.nnx.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if self.projected:
            x = self.shortcut_norm(self.shortcut(x))
        return flax.nnx.relu(x + y)


class NnxResNet18(flax.nnx.Module):
    """ResNet-18 in NNX."""

    def __init__(self, convolution: Callable, dtype: Any = jnp.float32, num_classes: int = 10):
        """Makes the layers."""
        rngs = flax.nnx.Rngs(0)
        conv = functools.partial(
            flax.nnx.Conv,
            use_bias=False,
            param_dtype=dtype,
            conv_general_dilated=convolution,
            rngs=rngs,
        )
        norm = functools.partial(flax.nnx.BatchNorm, param_dtype=dtype, rngs=rngs)
        self.conv = conv(3, 64, (7, 7), strides=2, padding=3)
        self.norm = norm(64)
        blocks, channels = [], 64
        for filters, stride in STAGES:
            blocks.append(NnxBlock(channels, filters, stride, conv, norm))
            blocks.append(NnxBlock(filters, filters, 1, conv, norm))
            channels = filters
        self.blocks = flax.nnx.List(blocks)
        self.head = flax.nnx.Linear(512, num_classes, param_dtype=dtype, rngs=rngs)

    def __call__(self, x):
        """Returns logits.

        Args:
            x: images, NHWC.
        """
        x = flax.nnx.relu(self.norm(self.conv(x)))
        x = flax.nnx.max_pool(x, (3, 3), (2, 2), "SAME")
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((1, 2)))


def training(
    library: str, convolution: Callable, batch: int, size: int, dtype: Any = jnp.float32
) -> tuple[Callable, Any]:
    """Returns a training step `state -> (state, loss)` of SGD with momentum, and its first state.

    Args:
        library: "linen" or "nnx".
        convolution: `lax.conv_general_dilated`, or ours.
        batch: images a step; the same ones each step.
        size: their height and width.
        dtype: of the parameters and the images.
    """
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.standard_normal((batch, size, size, 3)), dtype)
    labels = jnp.asarray(rng.integers(0, 10, batch))
    optimizer = optax.sgd(0.01, momentum=0.9)
    make = {"linen": _linen, "nnx": _nnx}[library]
    logits_of, params, rest = make(convolution, dtype, images)

    def loss_of(params, rest):
        logits, rest = logits_of(params, rest)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), rest

    def step(state):
        params, rest, momentum = state
        (loss, rest), grads = jax.value_and_grad(loss_of, has_aux=True)(params, rest)
        updates, momentum = optimizer.update(grads, momentum, params)
        return (optax.apply_updates(params, updates), rest, momentum), loss

    return step, (params, rest, optimizer.init(params))


def _linen(convolution: Callable, dtype: Any, images: jax.Array) -> tuple[Callable, Any, Any]:
    module = LinenResNet18(convolution, dtype)
    variables = module.init(jax.random.key(0), images)

    def logits_of(params, rest):
        return module.apply({"params": params, **rest}, images, mutable=["batch_stats"])

    return logits_of, variables["params"], {"batch_stats": variables["batch_stats"]}


def _nnx(convolution: Callable, dtype: Any, images: jax.Array) -> tuple[Callable, Any, Any]:
    model = NnxResNet18(convolution, dtype)
    graph, params, rest = flax.nnx.split(model, flax.nnx.Param, ...)

    def logits_of(params, rest):
        # Copied: a variable may only be changed in the trace that made it.
        model = flax.nnx.merge(graph, params, rest, copy=True)
        logits = model(images)
        return logits, flax.nnx.split(model, flax.nnx.Param, ...)[2]

    return logits_of, params, rest


def step_times(batch: int = 8, size: int = 64, repeats: int = 9) -> dict[str, Times]:
    """Returns the times of one step, with lax's convolution and with ours, for Linen and NNX.

    Args:
        batch: images a step.
        size: their height and width.
        repeats: interleaved rounds.

    Returns:
        The times by library, "linen" and "nnx".
    """
    found = {}
    for library in ("linen", "nnx"):
        contestants = {}
        for name, convolution, options in (
            ("lax", lax.conv_general_dilated, {}),
            ("lax, same options", lax.conv_general_dilated, compiler_options()),
            ("ours", ops.conv_general_dilated, compiler_options()),
        ):
            step, state = training(library, convolution, batch, size)
            program = jax.jit(step, compiler_options=options).lower(state).compile()
            contestants[name] = functools.partial(_run, program, state)
        found[library] = interleaved(contestants, repeats)
    return found


def _run(program: Callable, state: Any) -> None:
    jax.block_until_ready(program(state))
