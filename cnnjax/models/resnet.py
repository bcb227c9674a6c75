"""ResNet and the plain networks beside it, for ImageNet and CIFAR, and ResNeXt.

The bottleneck's stride is in its 3x3 convolution, as in every later implementation; the paper has
it in the first 1x1 (`stride_in="1x1"`, `variant="paper"`). Shortcuts of option A pad the new
channels with zeros at the end. Convolutions have no biases, since batch norm follows each.

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("resnet20_cifar")
    >>> for feature in models.feature_info(net, (32, 32, 3)):
    ...     print(feature.name, feature.shape)
    stem (32, 32, 16)
    stage1 (32, 32, 16)
    stage2 (16, 16, 32)
    stage3 (8, 8, 64)
    pooled (64,)
"""

import dataclasses
import functools
from typing import Any, ClassVar, Literal

import flax.linen as linen
from jaxtyping import Array, Float

from cnnjax.models.blocks.repeat import repeat
from cnnjax.models.blocks.residual import residual_block
from cnnjax.models.blocks.stage_strides import StageStrides, check_output_stride, stage_strides
from cnnjax.models.info import ModelInfo, Published, torchvision_prints
from cnnjax.models.initializers import HE_NORMAL, Initializers, same
from cnnjax.models.net import ChoiceNet
from cnnjax.models.registry import Entry, register, register_family
from cnnjax.models.statistics import CIFAR, IMAGENET


class ResNet(ChoiceNet):
    """A stem, stages of equal blocks, a global average, a dense layer.

    Any input size works, down to 1x1.

    Attributes:
        blocks: number of blocks in each stage; stages after the first halve the size.
        widths: channels of each stage (a quarter of the output's in bottlenecks).
        bottleneck: whether blocks are bottlenecks.
        shortcut: "A", "B" or "C", or "none" for the plain network; see `Shortcut`.
        stride_in: the bottleneck's convolution that has the stride, "3x3" or "1x1".
        groups, group_width: of the bottleneck's 3x3 convolution.
        stem: "imagenet" (7x7 of stride 2, 3x3 max pool of stride 2) or "cifar" (3x3).
        zero_init_gamma: whether each block starts as its shortcut (Goyal et al., 2017, 5.1).
        remat: whether the backward pass computes a block's activations again, keeping its input.
        scan: whether equal blocks are one block under `lax.scan`, with stacked parameters.
        output_stride: the most pixels from one unit of a stage's maps to the next; stages beyond
            dilate in place of halving. None for the paper's strides.
    """

    blocks: tuple[int, ...] = (2, 2, 2, 2)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    bottleneck: bool = False
    shortcut: Literal["A", "B", "C", "none"] = "B"
    stride_in: Literal["3x3", "1x1"] = "3x3"
    groups: int = 1
    group_width: int = 64
    stem: Literal["imagenet", "cifar"] = "imagenet"
    zero_init_gamma: bool = False
    remat: bool = False
    scan: bool = False
    output_stride: int | None = None

    counts: ClassVar[tuple[str, ...]] = ("blocks", "widths", "groups", "group_width")
    per_stage: ClassVar[tuple[str, ...]] = ("blocks", "widths")
    # Section 3.4 refers to He et al., 2015, "Delving deep into rectifiers".
    paper_initializers: ClassVar[Initializers] = same(HE_NORMAL)

    def __post_init__(self) -> None:
        """Checks the values of the fields.

        Raises:
            ValueError: a value is not allowed, or there is no gamma that could start at zero.
        """
        super().__post_init__()
        if self.zero_init_gamma and self.norm == "none":
            raise ValueError("ResNet: zero_init_gamma=True needs a norm; norm is 'none', drop one")
        check_output_stride("ResNet", 4 if self.stem == "imagenet" else 1, self.output_stride)

    @linen.nowrap
    def field_choices(self) -> dict[str, tuple]:
        """Returns the allowed values of the fields added here, by field."""
        return {
            "shortcut": ("A", "B", "C", "none"),
            "stride_in": ("3x3", "1x1"),
            "stem": ("imagenet", "cifar"),
        }

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], train: bool = False
    ) -> Float[Array, "batch classes"]:
        """Returns logits.

        Args:
            x: images.
            train: whether batch norms use the batch's statistics.
        """
        # A normalization follows each convolution, and has a bias of its own.
        conv = functools.partial(self.conv, use_bias=self.needs_bias)
        norm = self.norm_layer(train)
        block = residual_block(self, conv, norm)
        if self.stem == "imagenet":
            x = conv(64, (7, 7), strides=2, padding=3, name="conv1")(x)
            x = self.feature("stem", self.activate(norm(name="bn1")(x)))
            x = self.max_pool(3, 2, padding=1, name="pool1")(x)
        else:
            x = conv(self.widths[0], (3, 3), padding=1, name="conv1")(x)
            x = self.feature("stem", self.activate(norm(name="bn1")(x)))
        steps = self.stage_strides
        stages = zip(self.blocks, self.widths, steps, strict=True)
        for stage, (count, width, step) in enumerate(stages, start=1):
            first = functools.partial(block, width, step.strides, dilation=step.first_dilation)
            rest = functools.partial(block, width, 1, dilation=step.dilation)
            how = {"remat": self.remat, "scan": self.scan}
            x = repeat(x, count, first, rest, f"stage{stage}", **how)
            x = self.feature(f"stage{stage}", x)
        return self.logits(self.feature("pooled", x.mean(axis=(1, 2))))

    @property
    def stage_strides(self) -> list[StageStrides]:
        """The strides and dilations of the stages."""
        first = 4 if self.stem == "imagenet" else 1
        return stage_strides(len(self.blocks), first, self.output_stride)


_SOURCE = "He, Zhang, Ren and Sun, 2015"


def register_imagenet(
    name: str,
    parameters: int,
    multiply_adds: str,
    *,
    source: str = _SOURCE,
    errors: str | None = None,
    published: Published | None = None,
    paper: tuple[str, str] | None = None,
    **settings: Any,
) -> None:
    """Registers an ImageNet network.

    Args:
        name: registered name.
        parameters: number of trainable parameters.
        multiply_adds: for one image, rounded; see `ModelInfo`.
        source: the paper or reference implementation of the figures.
        errors: published errors, in words, or None.
        published: what is printed; None for torchvision, with these figures.
        paper: multiply-adds of the variant "paper", whose bottlenecks stride in the first 1x1
            convolution, as counted and as printed in table 1; None without bottlenecks.
        **settings: the fields of `ResNet`.
    """
    info = ModelInfo(
        name,
        source,
        input_size=(224, 224, 3),
        parameters=parameters,
        multiply_adds=multiply_adds,
        errors=errors,
        published=published or torchvision_prints(parameters, multiply_adds),
        **IMAGENET,
    )
    variants = {"torchvision": Entry(ResNet, settings, info, {})}
    if paper is not None:
        counted, printed = paper
        first = dataclasses.replace(info, multiply_adds=counted, published=_in_table_1(printed))
        variants["paper"] = Entry(ResNet, {**settings, "stride_in": "1x1"}, first, {})
    register(ResNet, info, variants=variants, **settings)


_in_table_1 = functools.partial(Published, "table 1", None)


def _bottlenecks(*blocks: int) -> dict[str, Any]:
    return {"blocks": blocks, "bottleneck": True}


register_imagenet(
    "resnet18", 11_689_512, "1.814 G", errors="top-1 27.88 (ten crops)", blocks=(2, 2, 2, 2)
)
register_imagenet(
    "resnet34",
    21_797_672,
    "3.664 G",
    errors="top-1/top-5 25.03/7.76 (ten crops, option A)",
    blocks=(3, 4, 6, 3),
)
register_imagenet(
    "resnet50",
    25_557_032,
    "4.089 G",
    paper=("3.858 G", "3.8 G"),
    errors="top-1/top-5 22.85/6.71 (ten crops)",
    **_bottlenecks(3, 4, 6, 3),
)
register_imagenet(
    "resnet101",
    44_549_160,
    "7.801 G",
    paper=("7.570 G", "7.6 G"),
    errors="top-1/top-5 21.75/6.05 (ten crops)",
    **_bottlenecks(3, 4, 23, 3),
)
register_imagenet(
    "resnet152",
    60_192_808,
    "11.514 G",
    paper=("11.282 G", "11.3 G"),
    errors="top-1/top-5 21.43/5.71 (ten crops)",
    **_bottlenecks(3, 8, 36, 3),
)
register_imagenet(
    "plain18",
    11_515_688,
    "1.795 G",
    errors="top-1 27.94 (ten crops)",
    published=_in_table_1("1.8 G"),
    blocks=(2, 2, 2, 2),
    shortcut="none",
)
register_imagenet(
    "plain34",
    21_623_848,
    "3.644 G",
    errors="top-1/top-5 28.54/10.02 (ten crops)",
    published=_in_table_1("3.6 G"),
    blocks=(3, 4, 6, 3),
    shortcut="none",
)
register_imagenet(
    "resnext50_32x4d",
    25_028_904,
    "4.230 G",
    source="Xie, Girshick, Dollár, Tu and He, 2017",
    groups=32,
    group_width=4,
    **_bottlenecks(3, 4, 6, 3),
)

# Parameters and multiply-adds as counted; of table 6, CIFAR-10 error and parameters of the networks
# of 6n + 2 layers. Shortcuts of option A have no parameters, so plain networks have the same.
_CIFAR: dict[int, tuple[int, str, str, str]] = {
    20: (269_722, "40.55 M", "8.75", "0.27 M"),
    32: (464_154, "68.86 M", "7.51", "0.46 M"),
    44: (658_586, "97.17 M", "7.17", "0.66 M"),
    56: (853_018, "125.49 M", "6.97", "0.85 M"),
    110: (1_727_962, "252.89 M", "6.43", "1.7 M"),
    1202: (19_421_274, "2,829.24 M", "7.93", "19.4 M"),
}


def cifar_entry(kind: str, depth: str) -> Entry:
    """Returns the CIFAR network of a kind and depth.

    Args:
        kind: "resnet" or "plain".
        depth: number of layers, as text: 6n + 2.

    Raises:
        ValueError: the depth is not 6n + 2.
    """
    layers = int(depth)
    if layers < 8 or (layers - 2) % 6:
        raise ValueError(
            f"{kind}{depth}_cifar: the depth must be 6n + 2 (8, 14, 20, ...), got {depth}"
        )
    parameters, multiply_adds, error, printed = _CIFAR.get(layers, (None, None, None, None))
    info = ModelInfo(
        f"{kind}{layers}_cifar",
        f"{_SOURCE}, section 4.2",
        input_size=(32, 32, 3),
        parameters=parameters,
        multiply_adds=multiply_adds,
        errors=f"CIFAR-10 {error}" if error and kind == "resnet" else None,
        notes="Parameters with shortcuts of option A.",
        published=Published("table 6", printed) if printed else None,
        **CIFAR,
    )
    settings = {
        "num_classes": 10,
        "blocks": ((layers - 2) // 6,) * 3,
        "widths": (16, 32, 64),
        "shortcut": "A" if kind == "resnet" else "none",
        "stem": "cifar",
    }
    return Entry(ResNet, settings, info, {})


for _kind in ("resnet", "plain"):
    for _depth in (20, 32, 44, 56, 110):
        _entry = cifar_entry(_kind, str(_depth))
        register(ResNet, _entry.info, **_entry.settings)
register_family(r"(?P<kind>resnet|plain)(?P<depth>\d+)_cifar", "resnet<6n+2>_cifar", cifar_entry)
