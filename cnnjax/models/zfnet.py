"""ZFNet: AlexNet with a smaller kernel and stride in its first layer.

The paper's "contrast normalization across maps" after the first two pools is local response
normalization with AlexNet's constants.

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("zfnet")
    >>> for feature in models.feature_info(net, (224, 224, 3)):
    ...     print(feature.name, feature.shape)
    conv1 (110, 110, 96)
    pool1 (55, 55, 96)
    conv2 (26, 26, 256)
    pool2 (13, 13, 256)
    conv3 (13, 13, 384)
    conv4 (13, 13, 384)
    conv5 (13, 13, 256)
    pool5 (6, 6, 256)
    fc6 (4096,)
    fc7 (4096,)
"""

from typing import Any, ClassVar

from cnnjax.models.alexnet import AlexNet, ConvRow
from cnnjax.models.info import ModelInfo
from cnnjax.models.initializers import Initializers, normal
from cnnjax.models.registry import register
from cnnjax.models.statistics import IMAGENET_255_CENTERED


def rows(third: int, fourth: int, fifth: int) -> tuple[ConvRow, ...]:
    """Returns the five convolutions.

    Args:
        third: maps of the third.
        fourth: maps of the fourth.
        fifth: maps of the fifth.
    """
    return (
        ConvRow(96, 7, stride=2, padding=1, norm=True, pool=True),
        ConvRow(256, 5, stride=2, norm=True, pool=True),
        ConvRow(third, 3, padding=1),
        ConvRow(fourth, 3, padding=1),
        ConvRow(fifth, 3, padding=1, pool=True),
    )


class ZFNet(AlexNet):
    """ZFNet; see `AlexNet` for the fields."""

    rows: tuple[ConvRow, ...] = rows(384, 384, 256)
    groups: int = 1
    pool_first: bool = True
    pool_ceil: bool = True

    # Section 3.1: weights of 10^-2, biases of 0.
    paper_initializers: ClassVar[Initializers] = normal(0.01)

    def paper_bias(self, value: float) -> Any:
        """Returns the initializer of zeros: this paper's biases start at 0.

        Args:
            value: AlexNet's first value, which has no effect here.
        """
        return super().paper_bias(0.0)


_SOURCE = "Zeiler and Fergus, 2013"

register(
    ZFNet,
    ModelInfo(
        "zfnet",
        _SOURCE,
        input_size=(224, 224, 3),
        parameters=62_357_608,
        multiply_adds="1,168.0 M",
        errors="top-1/top-5 38.4/16.5",
        **IMAGENET_255_CENTERED,
    ),
)
register(
    ZFNet,
    ModelInfo(
        "zfnet_512",
        f"{_SOURCE}, table 2 (maps 512, 1024, 512)",
        input_size=(224, 224, 3),
        parameters=107_627_624,
        multiply_adds="2,476.7 M",
        errors="top-1/top-5 37.5/16.0",
        **IMAGENET_255_CENTERED,
    ),
    rows=rows(512, 1024, 512),
)
