"""ResNet-18 in Equinox, which is written for one image of CHW and mapped over the batch."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))


class Block(eqx.Module):
    """Two 3x3 convolutions and a shortcut, with group normalization."""

    conv1: eqx.nn.Conv2d
    conv2: eqx.nn.Conv2d
    norm1: eqx.nn.GroupNorm
    norm2: eqx.nn.GroupNorm
    shortcut: eqx.nn.Conv2d | None

    def __init__(self, channels: int, filters: int, stride: int, key: jax.Array):
        """Makes the layers."""
        one, two, three = jax.random.split(key, 3)
        self.conv1 = eqx.nn.Conv2d(channels, filters, 3, stride, padding=1, key=one)
        self.conv2 = eqx.nn.Conv2d(filters, filters, 3, padding=1, key=two)
        self.norm1, self.norm2 = (eqx.nn.GroupNorm(8, filters) for _ in range(2))
        projected = channels != filters or stride != 1
        self.shortcut = (
            eqx.nn.Conv2d(channels, filters, 1, stride, key=three) if projected else None
        )

    def __call__(self, x):
        """Returns the block's output.

        Args:
            x: CHW.
        """
        y = jax.nn.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return jax.nn.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet18(eqx.Module):
    """ResNet-18 (He 2016, table 1) with group normalization in the place of batch norm."""

    stem: eqx.nn.Conv2d
    norm: eqx.nn.GroupNorm
    blocks: list
    head: eqx.nn.Linear

    def __init__(self, key: jax.Array, num_classes: int = 10):
        """Makes the layers."""
        keys = iter(jax.random.split(key, 10))
        self.stem = eqx.nn.Conv2d(3, 64, 7, 2, padding=3, key=next(keys))
        self.norm = eqx.nn.GroupNorm(8, 64)
        self.blocks, channels = [], 64
        for filters, stride in STAGES:
            self.blocks.append(Block(channels, filters, stride, next(keys)))
            self.blocks.append(Block(filters, filters, 1, next(keys)))
            channels = filters
        self.head = eqx.nn.Linear(channels, num_classes, key=next(keys))

    def __call__(self, x):
        """Returns logits.

        Args:
            x: an image, CHW.
        """
        x = jax.nn.relu(self.norm(self.stem(x)))
        x = eqx.nn.MaxPool2d(3, 2, padding=1)(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((1, 2)))


def equinox_resnet18(images: jax.Array) -> tuple[Callable, Any, Any]:
    """Returns `logits_of(params, rest)`, which gives logits and the next rest, and both trees.

    Args:
        images: NHWC.
    """
    params, static = eqx.partition(ResNet18(jax.random.key(0)), eqx.is_array)
    chw = jnp.transpose(images, (0, 3, 1, 2))

    def logits_of(params, rest):
        return jax.vmap(eqx.combine(params, static))(chw), rest

    return logits_of, params, ()
