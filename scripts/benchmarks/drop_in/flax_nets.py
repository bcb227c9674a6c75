"""ResNet-18 in plain flax.linen and flax.nnx (He 2016, table 1), written as flax users write it.

The only thing that changes is `conv_general_dilated`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flax.linen
import flax.nnx
import jax
import jax.numpy as jnp

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


def linen_resnet18(
    convolution: Callable, dtype: Any, images: jax.Array
) -> tuple[Callable, Any, Any]:
    """Returns `logits_of(params, rest)`, which gives logits and the next rest, and both trees.

    Args:
        convolution: `lax.conv_general_dilated`, or ours.
        dtype: of the parameters.
        images: NHWC.
    """
    module = LinenResNet18(convolution, dtype)
    variables = module.init(jax.random.key(0), images)

    def logits_of(params, rest):
        return module.apply({"params": params, **rest}, images, mutable=["batch_stats"])

    return logits_of, variables["params"], {"batch_stats": variables["batch_stats"]}


def nnx_resnet18(convolution: Callable, dtype: Any, images: jax.Array) -> tuple[Callable, Any, Any]:
    """Returns `logits_of(params, rest)`, which gives logits and the next rest, and both trees.

    Args:
        convolution: `lax.conv_general_dilated`, or ours.
        dtype: of the parameters.
        images: NHWC.
    """
    model = NnxResNet18(convolution, dtype)
    graph, params, rest = flax.nnx.split(model, flax.nnx.Param, ...)

    def logits_of(params, rest):
        # Copied: a variable may only be changed in the trace that made it.
        model = flax.nnx.merge(graph, params, rest, copy=True)
        logits = model(images)
        return logits, flax.nnx.split(model, flax.nnx.Param, ...)[2]

    return logits_of, params, rest
