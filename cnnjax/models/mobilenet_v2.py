"""MobileNet-v2: narrow maps are widened, filtered channel by channel, and made narrow again.

A block's 3x3 convolution is depthwise: each channel has a filter of its own, and the 1x1
convolutions around it mix the channels. What the shortcuts join are the narrow maps, whose last
convolution stays linear. Rectifiers end at 6. `mobilenet_v2_050` has half the channels, and any
`mobilenet_v2_<per cent>` is a network too; all widths are rounded to multiples of 8 as in the
authors' code, and the last convolution is never narrower than 1280.

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("mobilenet_v2")
    >>> for feature in models.feature_info(net, (224, 224, 3)):
    ...     print(feature.name, feature.shape)
    stem (112, 112, 32)
    stage1 (112, 112, 16)
    stage2 (56, 56, 24)
    stage3 (28, 28, 32)
    stage4 (14, 14, 64)
    stage5 (14, 14, 96)
    stage6 (7, 7, 160)
    stage7 (7, 7, 320)
    last (7, 7, 1280)
    pooled (1280,)
"""

import dataclasses
import functools
from typing import Any, ClassVar

import flax.linen as linen
from jaxtyping import Array, Float

from cnnjax.models.blocks.repeat import repeat
from cnnjax.models.info import ModelInfo, Published, torchvision_prints
from cnnjax.models.initializers import Initializers
from cnnjax.models.net import ChoiceNet
from cnnjax.models.registry import Entry, register, register_family
from cnnjax.models.statistics import IMAGENET

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch rows columns features"]


@dataclasses.dataclass(frozen=True)
class BlockRow:
    """One row of the paper's table 2: a sequence of equal blocks.

    Attributes:
        expansion: factor by which a block widens its input (t).
        features: output channels at a width of 1 (c).
        blocks: number of blocks (n).
        strides: of the first block (s).
    """

    expansion: int
    features: int
    blocks: int
    strides: int


PAPER = (
    BlockRow(1, 16, 1, 1),
    BlockRow(6, 24, 2, 2),
    BlockRow(6, 32, 3, 2),
    BlockRow(6, 64, 4, 2),
    BlockRow(6, 96, 3, 1),
    BlockRow(6, 160, 3, 2),
    BlockRow(6, 320, 1, 1),
)

# torchvision's: He's with the kernel's outputs in place of its inputs; N(0, 0.01) for the logits.
_HE_FAN_OUT = linen.initializers.variance_scaling(2.0, "fan_out", "normal")
_SMALL = linen.initializers.normal(0.01)


def rounded_channels(channels: float) -> int:
    """Returns the nearest multiple of 8, the next one where that would take off more than a tenth.

    Args:
        channels: a number of channels times a width.

    Example:
        >>> from cnnjax.models.mobilenet_v2 import rounded_channels
        >>> [rounded_channels(0.35 * channels) for channels in (16, 24, 32, 64)]
        [8, 8, 16, 24]

    Source: Sandler et al., 2018, the authors' code ("make divisible").
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


class InvertedResidual(linen.Module):
    """A 1x1 convolution that widens, a depthwise 3x3, a linear 1x1 that narrows, and a shortcut.

    Attributes:
        features: output channels.
        strides: of the depthwise convolution; the shortcut is there where shapes agree.
        expansion: factor by which the input is widened; 1 for none.
        conv, norm: make the layers.
        activate: the activation.

    Source: Sandler et al., 2018, table 1 and figure 4 (d).
    """

    features: int
    strides: int
    expansion: int
    conv: Any
    norm: Any
    activate: Any

    @linen.compact
    def __call__(self, x: Images) -> Maps:
        """Applies the block.

        Args:
            x: feature maps.
        """
        y, wide = x, self.expansion * x.shape[-1]
        if self.expansion != 1:
            y = self.activate(self.norm(name="bn1")(self.conv(wide, (1, 1), name="expand")(y)))
        depthwise = self.conv(
            wide,
            (3, 3),
            strides=self.strides,
            padding=1,
            feature_group_count=wide,
            name="depthwise",
        )
        y = self.activate(self.norm(name="bn2")(depthwise(y)))
        y = self.norm(name="bn3")(self.conv(self.features, (1, 1), name="project")(y))
        return x + y if y.shape == x.shape else y


class MobileNetV2(ChoiceNet):
    """A stem, sequences of inverted residual blocks, a 1x1 convolution, an average, a dense layer.

    Any input size works, down to 1x1.

    Attributes:
        rows: the sequences of blocks.
        width: factor of all channels, but of the last convolution's only above 1.
        activation: a name of `nn.ACTIVATIONS`; see `ChoiceNet`.
        dropout_rate: of the average, before the dense layer.
        remat: whether the backward pass computes a block's activations again, keeping its input.
        scan: whether equal blocks are one block under `lax.scan`, with stacked parameters.
    """

    rows: tuple[BlockRow, ...] = PAPER
    width: float = 1.0
    activation: str = "relu6"
    dropout_rate: float = 0.2
    remat: bool = False
    scan: bool = False

    rates: ClassVar[tuple[str, ...]] = ("dropout_rate",)
    paper_initializers: ClassVar[Initializers] = Initializers(_HE_FAN_OUT, _SMALL, _SMALL)

    def __post_init__(self) -> None:
        """Checks the values of the fields.

        Raises:
            ValueError: a value is not allowed; the message names the field and the allowed values.
        """
        super().__post_init__()
        self.check_values("width", _is_width, "a number above 0")
        self.check_values("rows", _is_row, "a BlockRow, whose fields are ints of at least 1")

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> Float[Array, "batch classes"]:
        """Returns logits.

        Args:
            x: images.
            train: whether batch norms use the batch, and dropout is on (stream "dropout").
        """
        conv = functools.partial(self.conv, use_bias=self.needs_bias)
        norm, activate = self.norm_layer(train), self.activate
        block = functools.partial(InvertedResidual, conv=conv, norm=norm, activate=activate)

        stem = conv(rounded_channels(32 * self.width), (3, 3), strides=2, padding=1, name="conv1")
        x = self.feature("stem", activate(norm(name="bn1")(stem(x))))
        for stage, row in enumerate(self.rows, start=1):
            features = rounded_channels(row.features * self.width)
            x = repeat(
                x,
                row.blocks,
                functools.partial(block, features, row.strides, row.expansion),
                functools.partial(block, features, 1, row.expansion),
                f"stage{stage}",
                remat=self.remat,
                scan=self.scan,
            )
            x = self.feature(f"stage{stage}", x)
        # Section 6.1 and the authors' code: narrow networks keep all 1280 channels.
        last = conv(rounded_channels(1280 * max(1.0, self.width)), (1, 1), name="last_conv")
        x = self.feature("last", activate(norm(name="last_bn")(last(x))))
        x = self.feature("pooled", x.mean(axis=(1, 2)))
        return self.logits(linen.Dropout(self.dropout_rate, deterministic=not train)(x))


def _is_width(value: Any) -> bool:
    """Returns whether a value is a number above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_row(value: Any) -> bool:
    """Returns whether a value is a row of ints of at least 1."""
    return isinstance(value, BlockRow) and all(
        isinstance(entry, int) and not isinstance(entry, bool) and entry >= 1
        for entry in dataclasses.astuple(value)
    )


# By per cent of the width: parameters and multiply-adds of torchvision's network of that width, and
# the errors of table 4.
_PUBLISHED: dict[int, tuple[int, str, str | None]] = {
    35: (1_677_128, "0.059 G", None),
    50: (1_968_680, "0.097 G", None),
    75: (2_636_424, "0.209 G", None),
    100: (3_504_872, "0.301 G", "top-1 28.0"),
    140: (6_108_776, "0.582 G", "top-1 25.3"),
}


_PRINTED = {
    100: torchvision_prints(3_504_872, "0.301 G"),
    140: Published("table 4", "6.9 M", "585 M"),
}


def width_entry(percent: str) -> Entry:
    """Returns the network of a width.

    Args:
        percent: width in per cent of the paper's channels, as text: at least 1.

    Raises:
        ValueError: the width is 0.
    """
    number = int(percent)
    if number < 1:
        raise ValueError(
            f"mobilenet_v2_{percent}: the width must be at least 1 per cent, such as 050 for half "
            f"the channels, got {percent}"
        )
    parameters, multiply_adds, errors = _PUBLISHED.get(number, (None, None, None))
    info = ModelInfo(
        "mobilenet_v2" if number == 100 else f"mobilenet_v2_{number:03d}",
        "Sandler, Howard, Zhu, Zhmoginov and Chen, 2018",
        input_size=(224, 224, 3),
        parameters=parameters,
        multiply_adds=multiply_adds,
        errors=errors,
        published=_PRINTED.get(number),
        **IMAGENET,
    )
    settings = {} if number == 100 else {"width": number / 100}
    variants = {"torchvision": Entry(MobileNetV2, settings, info, {})}
    return Entry(MobileNetV2, settings, info, variants)


for _percent in _PUBLISHED:
    _entry = width_entry(str(_percent))
    _aliases = ("mobilenet_v2_100",) if _percent == 100 else ()
    register(
        MobileNetV2,
        _entry.info,
        aliases=_aliases,
        variants=_entry.variants,
        **_entry.settings,
    )
register_family(r"mobilenet_v2_(?P<percent>\d{3})", "mobilenet_v2_<per cent>", width_entry)
