"""Pre-activation ResNets: normalize, rectify, then convolve; nothing follows the sum.

The block that changes the shape shares its first batch norm and rectifier with its projection, as
in the authors' code. ImageNet's stem has batch norm and a rectifier before its pool, as there;
`variant="timm"` leaves both out. Bottlenecks stride in the first 1x1 convolution for CIFAR, as in
the authors' code, and in the 3x3 for ImageNet, as in later ones (`variant="paper"`: in the 1x1).

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("preact_resnet11_cifar")
    >>> for feature in models.feature_info(net, (32, 32, 3)):
    ...     print(feature.name, feature.shape)
    stem (32, 32, 16)
    stage1 (32, 32, 64)
    stage2 (16, 16, 128)
    stage3 (8, 8, 256)
    final (8, 8, 256)
    pooled (256,)
"""

import dataclasses
import functools
from typing import Any, ClassVar, Literal

import flax.linen as linen
from jaxtyping import Array, Float

from cnnjax import ops
from cnnjax.models.blocks.repeat import repeat
from cnnjax.models.info import ModelInfo, Published
from cnnjax.models.initializers import HE_NORMAL, Initializers, same
from cnnjax.models.net import ChoiceNet
from cnnjax.models.registry import Entry, register, register_family
from cnnjax.models.statistics import CIFAR, IMAGENET, SYMMETRIC

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch rows columns features"]


class PreActBlock(linen.Module):
    """Two 3x3, or 1x1, 3x3 and 1x1, convolutions, each after a batch norm and a rectifier.

    Attributes:
        features: channels of the 3x3 convolutions; a bottleneck's output has four times as many.
        strides: of the first 3x3 convolution, or of the bottleneck's first 1x1.
        bottleneck: whether there are three convolutions.
        stride_in: the bottleneck's convolution that has the stride, "3x3" or "1x1".
        dropout: applied before the last 3x3 convolution of a basic block.
        conv, norm: make the layers.
        activate: the activation.

    Source: He et al., 2016, figure 1 (b) and appendix; dropout: Zagoruyko and Komodakis, 2016,
    figure 1 (d).
    """

    features: int
    strides: int
    bottleneck: bool
    stride_in: str
    dropout: Any
    conv: Any
    norm: Any
    activate: Any = ops.relu

    @linen.compact
    def __call__(self, x: Images) -> Maps:
        """Applies the block.

        Args:
            x: feature maps.
        """
        wide = 4 * self.features if self.bottleneck else self.features
        active = self.activate(self.norm(name="bn1")(x))
        if self.strides != 1 or x.shape[-1] != wide:
            x = self.conv(wide, (1, 1), strides=self.strides, name="shortcut")(active)
        if self.bottleneck:
            first, second = (self.strides, 1) if self.stride_in == "1x1" else (1, self.strides)
            y = self.conv(self.features, (1, 1), strides=first, name="conv1")(active)
            y = self.activate(self.norm(name="bn2")(y))
            y = self.conv(self.features, (3, 3), strides=second, padding=1, name="conv2")(y)
            y = self.activate(self.norm(name="bn3")(y))
            return x + self.conv(wide, (1, 1), name="conv3")(y)
        y = self.conv(wide, (3, 3), strides=self.strides, padding=1, name="conv1")(active)
        y = self.dropout()(self.activate(self.norm(name="bn2")(y)))
        return x + self.conv(wide, (3, 3), padding=1, name="conv2")(y)


class PreActResNet(ChoiceNet):
    """A stem, stages of pre-activation blocks, a last batch norm, a global average, a dense layer.

    Any input size works, down to 1x1.

    Attributes:
        blocks: number of blocks in each stage; stages after the first halve the size.
        widths: channels of each stage (a quarter of the output's in bottlenecks).
        bottleneck: whether blocks are bottlenecks.
        stride_in: the bottleneck's convolution that has the stride, "3x3" or "1x1".
        stem: "imagenet" (7x7 of stride 2, 3x3 max pool of stride 2) or "cifar" (3x3).
        stem_width: channels of the stem.
        stem_norm: whether ImageNet's stem is normalized and rectified before its pool.
        dropout_rate: inside basic blocks.
        remat: whether the backward pass computes a block's activations again, keeping its input.
        scan: whether equal blocks are one block under `lax.scan`, with stacked parameters.
    """

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    bottleneck: bool = True
    stride_in: Literal["3x3", "1x1"] = "3x3"
    stem: Literal["imagenet", "cifar"] = "imagenet"
    stem_width: int = 64
    stem_norm: bool = True
    dropout_rate: float = 0.0
    remat: bool = False
    scan: bool = False

    counts: ClassVar[tuple[str, ...]] = ("blocks", "widths", "stem_width")
    rates: ClassVar[tuple[str, ...]] = ("dropout_rate",)
    per_stage: ClassVar[tuple[str, ...]] = ("blocks", "widths")
    paper_initializers: ClassVar[Initializers] = same(HE_NORMAL)

    @linen.nowrap
    def field_choices(self) -> dict[str, tuple]:
        """Returns the allowed values of the fields added here, by field."""
        return {"stem": ("imagenet", "cifar"), "stride_in": ("3x3", "1x1")}

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> Float[Array, "batch classes"]:
        """Returns logits.

        Args:
            x: images.
            train: whether batch norms use the batch, and dropout is on (stream "dropout").
        """
        conv = functools.partial(self.conv, use_bias=self.needs_bias)
        norm = self.norm_layer(train)
        dropout = functools.partial(linen.Dropout, self.dropout_rate, deterministic=not train)
        block = functools.partial(
            PreActBlock,
            bottleneck=self.bottleneck,
            stride_in=self.stride_in,
            dropout=dropout,
            conv=conv,
            norm=norm,
            activate=self.activate,
        )
        if self.stem == "imagenet":
            x = conv(self.stem_width, (7, 7), strides=2, padding=3, name="conv1")(x)
            if self.stem_norm:
                x = self.activate(norm(name="bn1")(x))
            x = self.max_pool(3, 2, padding=1, name="pool1")(self.feature("stem", x))
        else:
            x = self.feature("stem", conv(self.stem_width, (3, 3), padding=1, name="conv1")(x))
        for stage, (count, width) in enumerate(zip(self.blocks, self.widths, strict=True), start=1):
            x = repeat(
                x,
                count,
                functools.partial(block, width, 1 if stage == 1 else 2),
                functools.partial(block, width, 1),
                f"stage{stage}",
                remat=self.remat,
                scan=self.scan,
            )
            x = self.feature(f"stage{stage}", x)
        # Nothing normalizes the sum of the last block.
        x = self.feature("final", self.activate(norm(name="final_bn")(x)))
        return self.logits(self.feature("pooled", x.mean(axis=(1, 2))))


_SOURCE = "He, Zhang, Ren and Sun, 2016 (Identity mappings)"


def _register_imagenet(
    depth: int, blocks: tuple[int, ...], paper_multiply_adds: str | None = None, **figures: Any
) -> None:
    """Registers an ImageNet network with its variants "paper" and "timm"."""
    info = ModelInfo(
        f"preact_resnet{depth}", _SOURCE, input_size=(224, 224, 3), **IMAGENET, **figures
    )
    paper = dataclasses.replace(info, multiply_adds=paper_multiply_adds)
    # The stem's batch norm has 64 scales and 64 shifts.
    without = None if info.parameters is None else info.parameters - 128
    timm = dataclasses.replace(info, source="timm, resnetv2", parameters=without, **SYMMETRIC)
    variants = {
        "paper": Entry(PreActResNet, {"blocks": blocks, "stride_in": "1x1"}, paper, {}),
        "timm": Entry(PreActResNet, {"blocks": blocks, "stem_norm": False}, timm, {}),
    }
    register(PreActResNet, info, variants=variants, blocks=blocks)


_register_imagenet(50, (3, 4, 6, 3), parameters=None)
_register_imagenet(101, (3, 4, 23, 3), parameters=None)
_register_imagenet(152, (3, 8, 36, 3), parameters=None)
_register_imagenet(
    200,
    (3, 24, 36, 3),
    parameters=64_666_280,
    multiply_adds="15.007 G",
    paper_multiply_adds="14.78 G",
    errors="top-1/top-5 20.7/5.3 (one crop of 320)",
)

# Parameters and multiply-adds as counted; of table 4, errors on CIFAR-10 and CIFAR-100, and
# parameters.
_CIFAR: dict[int, tuple[int, str, str, str | None]] = {
    110: (1_730_522, "253.15 M", "CIFAR-10 6.37", None),
    164: (1_703_258, "244.50 M", "CIFAR-10 5.46, CIFAR-100 24.33", "1.7 M"),
    1001: (10_327_706, "1,487.85 M", "CIFAR-10 4.92, CIFAR-100 22.71", "10.2 M"),
}


def cifar_entry(depth: str) -> Entry:
    """Returns the CIFAR network of a depth: 110 has basic blocks, every other one bottlenecks.

    Args:
        depth: number of layers, as text: 110 or 9n + 2.

    Raises:
        ValueError: the depth is neither 110 nor 9n + 2.
    """
    layers = int(depth)
    bottleneck = layers != 110
    if bottleneck and (layers < 11 or (layers - 2) % 9):
        raise ValueError(
            f"preact_resnet{depth}_cifar: the depth must be 110 or 9n + 2 (11, 20, 29, ..., 164, "
            f"1001), got {depth}"
        )
    parameters, multiply_adds, errors, printed = _CIFAR.get(layers, (None, None, None, None))
    info = ModelInfo(
        f"preact_resnet{layers}_cifar",
        _SOURCE,
        input_size=(32, 32, 3),
        parameters=parameters,
        multiply_adds=multiply_adds,
        errors=errors,
        published=Published("table 4", printed) if printed else None,
        **CIFAR,
    )
    settings = {
        "num_classes": 10,
        "blocks": ((layers - 2) // (9 if bottleneck else 6),) * 3,
        "widths": (16, 32, 64),
        "bottleneck": bottleneck,
        "stride_in": "1x1",
        "stem": "cifar",
        "stem_width": 16,
    }
    return Entry(PreActResNet, settings, info, {})


for _depth in (110, 164):
    _entry = cifar_entry(str(_depth))
    register(PreActResNet, _entry.info, **_entry.settings)
register_family(r"preact_resnet(?P<depth>\d+)_cifar", "preact_resnet<9n+2>_cifar", cifar_entry)
