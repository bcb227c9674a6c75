"""The net that the lecture argues against: convolutions at the image's own size, no pooling at all.

Each layer sees a little more of the image, and every layer pays for every pixel: `depth` 3x3
convolutions see 2 `depth` + 1 pixels, where each pool doubles what the layers after it see.
As registered, it costs as many multiply-adds as `create_model("unet", base=16)` at 64x64, within
one per cent.

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("naive_dense", width=8, depth=2)
    >>> for feature in models.feature_info(net, (64, 64, 3)):
    ...     print(feature.name, feature.shape)
    conv1 (64, 64, 8)
    conv2 (64, 64, 8)
"""

from typing import ClassVar, Literal

import flax.linen as linen

from cnnjax.models.dense.pixel_net import Images, PixelLogits, PixelNet
from cnnjax.models.info import ModelInfo
from cnnjax.models.initializers import HE_NORMAL, LECUN_NORMAL, Initializers
from cnnjax.models.registry import register


class NaiveDense(PixelNet):
    """Equal convolutions at the image's size, and a 1x1 convolution; any input size.

    Attributes:
        width: channels of each convolution.
        depth: number of convolutions.
        kernel: their size.
        norm: what follows each: "batch", "group" or "none".
    """

    num_classes: int = 11
    width: int = 29
    depth: int = 7
    kernel: int = 3
    norm: Literal["batch", "group", "none"] = "none"

    counts: ClassVar[tuple[str, ...]] = ("width", "depth", "kernel")
    paper_initializers: ClassVar[Initializers] = Initializers(HE_NORMAL, HE_NORMAL, LECUN_NORMAL)

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> PixelLogits:
        """Returns the logits of each pixel.

        Args:
            x: images.
            train: whether batch norms use the batch's statistics.
        """
        for number in range(1, self.depth + 1):
            x = self.conv(self.width, (self.kernel, self.kernel), name=f"conv{number}")(x)
            x = self.activate(self.norm_layer(train)(name=f"norm{number}")(x))
            x = self.feature(f"conv{number}", x)
        return self.scores(x)


register(
    NaiveDense,
    ModelInfo(
        "naive_dense",
        "the lecture on dense prediction: convolutions at the image's size, without pooling",
        input_size=(64, 64, 3),
        parameters=46_730,
        multiply_adds="190.53 M",
        notes="Built here for comparisons with unet(base=16), whose multiply-adds it has.",
    ),
)
