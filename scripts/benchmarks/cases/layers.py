"""The distinct layers of the benchmark's networks, as data.

Shapes are NHWC for images and (kernel height, width, channels / groups, filters) for kernels, with
the batch sizes of the whole-step benchmark. Sources: LeCun 1998, fig. 2; Krizhevsky 2012, 3.5;
Simonyan 2015, table 1 (D); Szegedy 2015, table 1; He 2016, tables 1 and 6; Xie 2017, table 1;
Sandler 2018, table 2; Zagoruyko 2016, table 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Conv:
    """One convolution: (batch, size, size, channels) by a square kernel."""

    net: str
    batch: int
    size: int
    channels: int
    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    transposed: bool = False

    @property
    def name(self) -> str:
        """For example `resnet50 56x56x64 3x3 64`."""
        return (
            f"{self.net} {self.size}x{self.size}x{self.channels} {self.kernel}x{self.kernel}"
            + (f"/{self.stride}" if self.stride > 1 else "")
            + f" {self.filters}"
            + (f" g{self.groups}" if self.groups > 1 else "")
            + (" transposed" if self.transposed else "")
        )

    @property
    def family(self) -> str:
        """The class of layers that this one is averaged with."""
        if self.transposed:
            return "transposed"
        if self.groups == self.channels and self.groups > 1:
            return "depthwise"
        if self.groups > 2:
            return "grouped"
        if self.groups == 2:
            return "grouped (2)"
        return "1x1" if self.kernel == 1 else "dense"


@dataclasses.dataclass(frozen=True)
class Pool:
    """One pooling, or one local response normalization (kind "lrn")."""

    net: str
    kind: str
    batch: int
    size: int
    channels: int
    window: int = 0
    stride: int = 1
    padding: int = 0

    @property
    def name(self) -> str:
        """For example `vgg16 224x224x64 max 2x2/2`."""
        window = f" {self.window}x{self.window}/{self.stride}" if self.window else ""
        return f"{self.net} {self.size}x{self.size}x{self.channels} {self.kind}{window}"

    @property
    def family(self) -> str:
        """The class of layers that this one is averaged with."""
        return {"max": "max pool", "avg": "average pool", "lrn": "LRN"}[self.kind]


def _lenet5() -> Iterator[Conv | Pool]:
    yield Conv("lenet5", 128, 32, 1, 6, 5)
    yield Conv("lenet5", 128, 14, 6, 16, 5)
    yield Conv("lenet5", 128, 5, 16, 120, 5)
    for kind in ("avg", "max"):
        yield Pool("lenet5", kind, 128, 28, 6, 2, 2)
        yield Pool("lenet5", kind, 128, 10, 16, 2, 2)


def _alexnet() -> Iterator[Conv | Pool]:
    yield Conv("alexnet", 16, 227, 3, 96, 11, 4)
    yield Conv("alexnet", 16, 27, 96, 256, 5, 1, 2, 2)
    yield Conv("alexnet", 16, 13, 256, 384, 3, 1, 1)
    yield Conv("alexnet", 16, 13, 384, 384, 3, 1, 1, 2)
    yield Conv("alexnet", 16, 13, 384, 256, 3, 1, 1, 2)
    for size, channels in ((55, 96), (27, 256), (13, 256)):
        yield Pool("alexnet", "max", 16, size, channels, 3, 2)
    for size, channels in ((55, 96), (27, 256)):
        yield Pool("alexnet", "lrn", 16, size, channels)


def _vgg16() -> Iterator[Conv | Pool]:
    size, channels = 224, 3
    for filters, count in ((64, 2), (128, 2), (256, 2), (512, 2)):
        for _ in range(count):
            yield Conv("vgg16", 4, size, channels, filters, 3, 1, 1)
            channels = filters
        yield Pool("vgg16", "max", 4, size, channels, 2, 2)
        size //= 2
    yield Conv("vgg16", 4, size, 512, 512, 3, 1, 1)
    yield Pool("vgg16", "max", 4, size, 512, 2, 2)


# Size, channels, then 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5 and pool projection (table 1).
_INCEPTION = (
    (28, 192, 64, 96, 128, 16, 32, 32),
    (28, 256, 128, 128, 192, 32, 96, 64),
    (14, 480, 192, 96, 208, 16, 48, 64),
    (14, 512, 160, 112, 224, 24, 64, 64),
    (14, 512, 128, 128, 256, 24, 64, 64),
    (14, 512, 112, 144, 288, 32, 64, 64),
    (14, 528, 256, 160, 320, 32, 128, 128),
    (7, 832, 256, 160, 320, 32, 128, 128),
    (7, 832, 384, 192, 384, 48, 128, 128),
)


def _googlenet() -> Iterator[Conv | Pool]:
    yield Conv("googlenet", 8, 224, 3, 64, 7, 2, 3)
    yield Conv("googlenet", 8, 56, 64, 64, 1)
    yield Conv("googlenet", 8, 56, 64, 192, 3, 1, 1)
    for size, channels, one, reduce3, three, reduce5, five, project in _INCEPTION:
        yield Conv("googlenet", 8, size, channels, one, 1)
        yield Conv("googlenet", 8, size, channels, reduce3, 1)
        yield Conv("googlenet", 8, size, reduce3, three, 3, 1, 1)
        yield Conv("googlenet", 8, size, channels, reduce5, 1)
        yield Conv("googlenet", 8, size, reduce5, five, 5, 1, 2)
        yield Conv("googlenet", 8, size, channels, project, 1)
        yield Pool("googlenet", "max", 8, size, channels, 3, 1, 1)
    yield Conv("googlenet", 8, 4, 512, 128, 1)
    yield Conv("googlenet", 8, 4, 528, 128, 1)
    for size, channels in ((112, 64), (56, 192), (28, 480), (14, 832)):
        yield Pool("googlenet", "max", 8, size, channels, 3, 2, 1)
    for channels in (512, 528):
        yield Pool("googlenet", "avg", 8, 14, channels, 5, 3)
    yield Pool("googlenet", "avg", 8, 7, 1024, 7, 7)
    for channels in (64, 192):
        yield Pool("googlenet", "lrn", 8, 56, channels)


def _bottlenecks(net: str, batch: int, width: int, groups: int) -> Iterator[Conv | Pool]:
    yield Conv(net, batch, 224, 3, 64, 7, 2, 3)
    yield Pool(net, "max", batch, 112, 64, 3, 2, 1)
    size, channels = 56, 64
    for stage in range(4):
        inner, outer = width << stage, 256 << stage
        stride = 1 if stage == 0 else 2
        yield Conv(net, batch, size, channels, inner, 1)
        yield Conv(net, batch, size, inner, inner, 3, stride, 1, groups)
        yield Conv(net, batch, size, channels, outer, 1, stride)
        size, channels = size // stride, outer
        yield Conv(net, batch, size, inner, outer, 1)
        yield Conv(net, batch, size, outer, inner, 1)
        yield Conv(net, batch, size, inner, inner, 3, 1, 1, groups)
    yield Pool(net, "avg", batch, 7, 2048, 7, 7)


def _mobilenet_v2() -> Iterator[Conv | Pool]:
    yield Conv("mobilenet_v2", 8, 224, 3, 32, 3, 2, 1)
    size, channels = 112, 32
    for expansion, filters, repeats, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for repeat in range(repeats):
            step, inner = (stride if repeat == 0 else 1), expansion * channels
            if expansion > 1:
                yield Conv("mobilenet_v2", 8, size, channels, inner, 1)
            yield Conv("mobilenet_v2", 8, size, inner, inner, 3, step, 1, inner)
            size //= step
            yield Conv("mobilenet_v2", 8, size, inner, filters, 1)
            channels = filters
    yield Conv("mobilenet_v2", 8, 7, 320, 1280, 1)
    yield Pool("mobilenet_v2", "avg", 8, 7, 1280, 7, 7)


def _cifar(net: str, batch: int, width: int, projected: bool) -> Iterator[Conv | Pool]:
    yield Conv(net, batch, 32, 3, 16, 3, 1, 1)
    size, channels = 32, 16
    for stage in range(3):
        filters, stride = width << stage, 1 if stage == 0 else 2
        yield Conv(net, batch, size, channels, filters, 3, stride, 1)
        if projected:
            yield Conv(net, batch, size, channels, filters, 1, stride)
        size, channels = size // stride, filters
        yield Conv(net, batch, size, filters, filters, 3, 1, 1)
    yield Pool(net, "avg", batch, 8, channels, 8, 8)


def _transposed() -> Iterator[Conv]:
    """Decoders: DCGAN's generator (Radford 2016, fig. 1) and FCN's 2x upsampling (Long 2015)."""
    for size, channels, filters in ((4, 512, 256), (8, 256, 128), (16, 128, 64), (32, 64, 3)):
        yield Conv("dcgan", 32, size, channels, filters, 4, 2, 1, transposed=True)
    yield Conv("fcn", 4, 14, 21, 21, 4, 2, 1, transposed=True)


def all_layers() -> list[Conv | Pool]:
    """Returns every distinct layer once, in the order of the networks."""
    layers: dict[tuple, Conv | Pool] = {}
    for found in (
        _lenet5(),
        _alexnet(),
        _vgg16(),
        _googlenet(),
        _bottlenecks("resnet50", 4, 64, 1),
        _bottlenecks("resnext50", 4, 128, 32),
        _mobilenet_v2(),
        _cifar("resnet20", 128, 16, projected=False),
        _cifar("wrn16_4", 32, 64, projected=True),
        _transposed(),
    ):
        for layer in found:
            # Without the network's name: a layer of two networks is timed once.
            key = dataclasses.astuple(layer)[1:]
            layers.setdefault((type(layer).__name__, *key), layer)
    return list(layers.values())
