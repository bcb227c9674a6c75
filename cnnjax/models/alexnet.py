"""AlexNet: as published in two groups, as a single tower, and the one-tower form of 2014.

The published network has no padding in the first layer, so that it needs 227x227 images for the
55x55 maps of the paper (which prints 224). The single tower of lecture notes pools before it
normalizes. `variant="torchvision"` is Krizhevsky's form of 2014 ("One weird trick"), without
normalization, with an adaptive pool before the dense layers.

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("alexnet")
    >>> for feature in models.feature_info(net, (227, 227, 3)):
    ...     print(feature.name, feature.shape)
    conv1 (55, 55, 96)
    pool1 (27, 27, 96)
    conv2 (27, 27, 256)
    pool2 (13, 13, 256)
    conv3 (13, 13, 384)
    conv4 (13, 13, 384)
    conv5 (13, 13, 256)
    pool5 (6, 6, 256)
    fc6 (4096,)
    fc7 (4096,)
"""

import dataclasses
from typing import ClassVar

import flax.linen as linen
from jaxtyping import Array, Float

from cnnjax import nn, ops
from cnnjax.models.blocks.flat import Logits, flat
from cnnjax.models.info import ModelInfo, Published, torchvision_prints
from cnnjax.models.initializers import Initializers, normal
from cnnjax.models.net import Net
from cnnjax.models.registry import Entry, register
from cnnjax.models.statistics import IMAGENET, IMAGENET_255_CENTERED


@dataclasses.dataclass(frozen=True)
class ConvRow:
    """One row of the table: a convolution, and what follows its rectifier.

    Attributes:
        features, kernel, stride, padding: of the convolution.
        grouped: whether it is cut into the network's groups.
        bias: initial value of the biases in the paper's initialization.
        norm: whether local response normalization follows.
        pool: whether a 3x3 max pool of stride 2 follows.
    """

    features: int
    kernel: int
    stride: int = 1
    padding: int = 0
    grouped: bool = False
    bias: float = 0.0
    norm: bool = False
    pool: bool = False


# Section 3.5: the 2nd, 4th and 5th convolutions are connected to the maps of their own GPU only.
PAPER = (
    ConvRow(96, 11, stride=4, norm=True, pool=True),
    ConvRow(256, 5, padding=2, grouped=True, bias=1.0, norm=True, pool=True),
    ConvRow(384, 3, padding=1),
    ConvRow(384, 3, padding=1, grouped=True, bias=1.0),
    ConvRow(256, 3, padding=1, grouped=True, bias=1.0, pool=True),
)

# Krizhevsky, 2014 ("One weird trick"), in torchvision's sizes.
ONE_TOWER_2014 = (
    ConvRow(64, 11, stride=4, padding=2, pool=True),
    ConvRow(192, 5, padding=2, bias=1.0, pool=True),
    ConvRow(384, 3, padding=1),
    ConvRow(256, 3, padding=1, bias=1.0),
    ConvRow(256, 3, padding=1, bias=1.0, pool=True),
)


class AlexNet(Net):
    """Five convolutions, then two hidden dense layers with dropout, then the classifier.

    Smallest input of the published rows: 67x67 (1x1 maps before the dense layers). The dense
    weights fit the image size with which the variables were made.

    Attributes:
        rows: the convolutions.
        groups: groups of the grouped rows.
        pool_first: whether a row pools before it normalizes.
        pool_ceil: whether pools round up their output size.
        grid: rows and columns that an adaptive pool makes before the dense layers, or None.
        hidden: units of the hidden dense layers.
        dropout_rate: of the input of both hidden layers if `dropout_first`, else of their outputs.
    """

    rows: tuple[ConvRow, ...] = PAPER
    groups: int = 2
    pool_first: bool = False
    pool_ceil: bool = False
    grid: tuple[int, int] | None = None
    hidden: tuple[int, int] = (4096, 4096)
    dropout_rate: float = 0.5
    dropout_first: bool = False

    counts: ClassVar[tuple[str, ...]] = ("groups", "hidden")
    rates: ClassVar[tuple[str, ...]] = ("dropout_rate",)
    # Section 5: N(0, 0.01).
    paper_initializers: ClassVar[Initializers] = normal(0.01)

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], train: bool = False
    ) -> Logits:
        """Returns logits.

        Args:
            x: images.
            train: whether dropout is on (stream "dropout").
        """
        for number, row in enumerate(self.rows, start=1):
            conv = self.conv(
                row.features,
                (row.kernel, row.kernel),
                strides=row.stride,
                padding=row.padding,
                feature_group_count=self.groups if row.grouped else 1,
                bias_init=self.paper_bias(row.bias),
                name=f"conv{number}",
            )
            x = self.feature(f"conv{number}", ops.relu(conv(x)))
            if row.norm and not self.pool_first:
                x = self.response_norm_layer(name=f"norm{number}")(x)
            if row.pool:
                pool = self.max_pool(3, 2, ceil_mode=self.pool_ceil, name=f"pool{number}")
                x = self.feature(f"pool{number}", pool(x))
            if row.norm and self.pool_first:
                x = self.response_norm_layer(name=f"norm{number}")(x)
        # An adaptive pool makes the dense layers fit images of every size.
        if self.grid is not None:
            x = nn.AdaptiveAvgPool(self.grid, name="adaptive_pool")(x)
        x = flat(self, "fc6", x)
        for layer, units in zip(("fc6", "fc7"), self.hidden, strict=True):
            dropout = linen.Dropout(self.dropout_rate, deterministic=not train)
            dense = self.dense(units, bias_init=self.paper_bias(1.0), name=layer)
            x = ops.relu(dense(dropout(x))) if self.dropout_first else dropout(ops.relu(dense(x)))
            x = self.feature(layer, x)
        return self.logits(x)


_SOURCE = "Krizhevsky, Sutskever and Hinton, 2012"

register(
    AlexNet,
    ModelInfo(
        "alexnet",
        _SOURCE,
        input_size=(227, 227, 3),
        parameters=60_965_224,
        multiply_adds="724.4 M",
        errors="top-1/top-5 40.7/18.2 (ten crops); five networks 38.1/16.4",
        notes="On one device; the two groups of the paper are on two.",
        published=Published("the abstract", "60 M"),
        **IMAGENET_255_CENTERED,
    ),
    variants={
        "torchvision": Entry(
            AlexNet,
            {"rows": ONE_TOWER_2014, "groups": 1, "grid": (6, 6), "dropout_first": True},
            ModelInfo(
                "alexnet",
                "torchvision; Krizhevsky, 2014 (One weird trick)",
                input_size=(224, 224, 3),
                parameters=61_100_840,
                multiply_adds="714.2 M",
                notes="Dropout comes before the dense layers.",
                published=torchvision_prints(61_100_840, "0.714 G"),
                **IMAGENET,
            ),
            {},
        )
    },
)
register(
    AlexNet,
    ModelInfo(
        "alexnet_single_tower",
        f"{_SOURCE}; the single tower of lecture notes",
        input_size=(227, 227, 3),
        parameters=62_378_344,
        multiply_adds="1,135.3 M",
        notes="No groups; pools before it normalizes.",
        **IMAGENET_255_CENTERED,
    ),
    groups=1,
    pool_first=True,
)
