"""Draws convolutions and pools with shapes that no choice of `dispatch.py` was made for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scripts.benchmarks.cases.layers import Conv, Pool

MOST = 4e9
"""The most multiply-adds of a convolution, so that a pass takes tens of ms at most."""

_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


def draw(seed: int, count: int) -> list[Conv | Pool]:
    """Returns layers, the same ones for the same seed; each kind before any kind again.

    Args:
        seed: of the draws.
        count: how many layers.
    """
    generator = np.random.default_rng(seed)
    layers: dict[str, Conv | Pool] = {}
    kinds: list[Callable] = []
    while len(layers) < count:
        kinds = kinds or [KINDS[i] for i in generator.permutation(len(KINDS))]
        layer = kinds[-1](generator)
        # Layers of too many multiply-adds are drawn again.
        if isinstance(layer, Pool) or _multiply_adds(layer) <= MOST:
            kinds.pop()
            layers[layer.name] = layer
    return list(layers.values())


def _multiply_adds(layer: Conv) -> float:
    pixels = layer.batch * (layer.size / layer.stride) ** 2
    return pixels * layer.kernel**2 * layer.channels / layer.groups * layer.filters


def _channels(generator: np.random.Generator, low: int = 8, high: int = 512) -> int:
    """Returns a multiple of 8, drawn by logarithm."""
    return 8 * round(float(np.exp(generator.uniform(np.log(low), np.log(high)))) / 8)


def _common(generator: np.random.Generator) -> tuple[str, int, int]:
    """Returns what names the layer in place of a network, a batch and a size."""
    batch = int(generator.choice(_BATCHES))
    return f"b{batch}", batch, int(generator.integers(4, 113))


def _dense(kernels: tuple[int, ...], strides: tuple[int, ...]) -> Callable:
    def one(generator: np.random.Generator) -> Conv:
        kernel, stride = int(generator.choice(kernels)), int(generator.choice(strides))
        channels, filters = _channels(generator), _channels(generator)
        return Conv(*_common(generator), channels, filters, kernel, stride, kernel // 2)

    return one


def _first(generator: np.random.Generator) -> Conv:
    kernel, stride = ((3, 1), (3, 2), (5, 1), (7, 2))[generator.integers(4)]
    name, batch, size = _common(generator)
    filters = _channels(generator, 8, 64)
    return Conv(name, batch, 2 * size, int(generator.choice((1, 3))), filters, kernel, stride,
                kernel // 2)  # fmt: skip


def _grouped(generator: np.random.Generator) -> Conv:
    groups = int(generator.choice((2, 4, 8, 16, 32)))
    channels = groups * int(generator.choice((4, 8, 16)))
    stride = int(generator.choice((1, 2)))
    return Conv(*_common(generator), channels, channels, 3, stride, 1, groups)


def _depthwise(generator: np.random.Generator) -> Conv:
    channels = _channels(generator)
    kernel, stride = int(generator.choice((3, 5, 7))), int(generator.choice((1, 2)))
    return Conv(
        *_common(generator), channels, channels, kernel, stride, kernel // 2, groups=channels
    )


def _transposed(generator: np.random.Generator) -> Conv:
    name, batch, size = _common(generator)
    channels = _channels(generator, 8, 256)
    return Conv(name, batch, size // 4 + 2, channels, channels, 4, 2, 1, transposed=True)


def _pool(kind: str) -> Callable:
    def one(generator: np.random.Generator) -> Pool:
        name, batch, size = _common(generator)
        window, stride = ((2, 2), (3, 2), (3, 1))[generator.integers(3)]
        return Pool(name, kind, batch, size, _channels(generator, 8, 256), window, stride)

    return one


KINDS = (
    _dense((3,), (1,)),
    _dense((3,), (1,)),
    _dense((3, 5), (2,)),
    _dense((5, 7), (1,)),
    _dense((1,), (1,)),
    _dense((1,), (2,)),
    _first,
    _grouped,
    _depthwise,
    _transposed,
    _pool("max"),
    _pool("avg"),
)
"""What is drawn; plain 3x3 convolutions, the most frequent ones in networks, are here twice."""
