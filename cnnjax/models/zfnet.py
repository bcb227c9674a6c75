"""ZFNet: AlexNet with a smaller, slower first layer, found by looking at its features.

The paper's "contrast normalization across maps" after the first two pools is local response
normalization with AlexNet's constants.
"""

from typing import ClassVar

from cnnjax.models.alexnet import AlexNet, ConvRow
from cnnjax.models.initializers import Initializers, normal
from cnnjax.models.registry import ModelInfo, register
from cnnjax.models.statistics import IMAGENET_255_CENTERED


def rows(third: int, fourth: int, fifth: int) -> tuple[ConvRow, ...]:
    """The five convolutions, given the maps of the last three."""
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

    def paper_bias(self, value: float):
        """Biases start at 0."""
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
