"""VGG: blocks of 3x3 convolutions and a 2x2 pool, then three dense layers.

Each configuration is the table's column: the kernel sizes of each block. `variant="torchvision"`
adds an adaptive pool to 7x7 before the dense layers, which changes nothing at 224x224. The forms
with batch norm are torchvision's; the paper has none. A-LRN normalizes after its first
convolution.

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("vgg16")
    >>> for feature in models.feature_info(net, (224, 224, 3)):
    ...     print(feature.name, feature.shape)
    block1 (112, 112, 64)
    block2 (56, 56, 128)
    block3 (28, 28, 256)
    block4 (14, 14, 512)
    block5 (7, 7, 512)
    fc6 (4096,)
    fc7 (4096,)
"""

from typing import ClassVar, Literal

import flax.linen as linen
from jaxtyping import Array, Float

from cnnjax import nn
from cnnjax.models.blocks.flat import Logits, flat
from cnnjax.models.info import ModelInfo, Published, torchvision_prints
from cnnjax.models.initializers import Initializers, normal
from cnnjax.models.net import ChoiceNet
from cnnjax.models.registry import Entry, register
from cnnjax.models.statistics import IMAGENET

# Simonyan and Zisserman, 2014, table 1: kernel sizes of the five blocks' convolutions.
A = ((3,), (3,), (3, 3), (3, 3), (3, 3))
B = ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3))
C = ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1))
D = ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))
E = ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3))


class VGG(ChoiceNet):
    """A VGG network.

    Smallest input 32x32. The dense weights fit the image size with which the variables were made,
    unless `grid` is given.

    Attributes:
        blocks: kernel sizes of each block's convolutions.
        widths: channels of each block.
        norm: what follows each convolution: "none", "batch" or "group"; see `ChoiceNet`.
        response_norm: whether the first one is followed by local response normalization.
        grid: rows and columns that an adaptive pool makes before the dense layers, or None.
        hidden: units of the hidden dense layers.
        dropout_rate: of the hidden layers' outputs.
    """

    blocks: tuple[tuple[int, ...], ...] = D
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    norm: Literal["batch", "group", "none"] = "none"
    response_norm: bool = False
    grid: tuple[int, int] | None = None
    hidden: tuple[int, int] = (4096, 4096)
    dropout_rate: float = 0.5

    counts: ClassVar[tuple[str, ...]] = ("blocks", "widths", "hidden")
    rates: ClassVar[tuple[str, ...]] = ("dropout_rate",)
    per_stage: ClassVar[tuple[str, ...]] = ("blocks", "widths")
    # Section 3.1: N(0, 0.01), biases 0. The authors started A so, and the others from A.
    paper_initializers: ClassVar[Initializers] = normal(0.01)

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], train: bool = False
    ) -> Logits:
        """Returns logits.

        Args:
            x: images.
            train: whether dropout is on (stream "dropout"), and batch norms use the batch.
        """
        for b, (kernels, width) in enumerate(zip(self.blocks, self.widths, strict=True), start=1):
            for c, kernel in enumerate(kernels, start=1):
                x = self.conv(width, (kernel, kernel), name=f"conv{b}_{c}")(x)
                x = self.activate(self.norm_layer(train)(name=f"bn{b}_{c}")(x))
                if self.response_norm and (b, c) == (1, 1):
                    x = self.response_norm_layer(name="norm1_1")(x)
            x = self.feature(f"block{b}", self.max_pool(2, name=f"pool{b}")(x))
        if self.grid is not None:
            x = nn.AdaptiveAvgPool(self.grid, name="adaptive_pool")(x)
        x = flat(self, "fc6", x)
        for layer, units in zip(("fc6", "fc7"), self.hidden, strict=True):
            x = self.feature(layer, self.activate(self.dense(units, name=layer)(x)))
            x = linen.Dropout(self.dropout_rate, deterministic=not train)(x)
        return self.logits(x)


_SOURCE = "Simonyan and Zisserman, 2014"


def _register(
    name: str,
    letter: str,
    blocks: tuple[tuple[int, ...], ...],
    parameters: int,
    multiply_adds: str,
    errors: str,
    printed: str | None = None,
    response_norm: bool = False,
) -> None:
    """Registers a configuration without and with batch norm, each with torchvision's variant."""
    channels = sum(len(kernels) * width for kernels, width in zip(blocks, VGG.widths, strict=True))
    for suffix, norm in (("", "none"), ("_bn", "batch")):
        # Batch norm adds a scale and a shift to each channel.
        count = parameters + (2 * channels if suffix else 0)
        published = torchvision_prints(count, multiply_adds)
        if printed is not None:
            published = None if suffix else Published("table 2", printed)
        settings = {"blocks": blocks, "norm": norm, "response_norm": response_norm}
        info = ModelInfo(
            f"{name}{suffix}",
            f"{_SOURCE}, table 1, {letter}" + ("; batch norm as in torchvision" if suffix else ""),
            input_size=(224, 224, 3),
            parameters=count,
            multiply_adds=multiply_adds,
            errors=None if suffix else f"top-1/top-5 {errors} (S = Q = 256)",
            notes="LRN together with batch norm is not published."
            if response_norm and suffix
            else "",
            published=published,
            **IMAGENET,
        )
        alias = "vgg_" + letter.lower().replace("-", "_") + suffix
        variants = {"torchvision": Entry(VGG, {**settings, "grid": (7, 7)}, info, {})}
        register(VGG, info, aliases=(alias,), variants=variants, **settings)


_register("vgg11", "A", A, 132_863_336, "7.609 G", "29.6/10.4")
_register("vgg11_lrn", "A-LRN", A, 132_863_336, "7.609 G", "29.7/10.5", "133 M", True)
_register("vgg13", "B", B, 133_047_848, "11.308 G", "28.7/9.9")
_register("vgg16_c", "C", C, 133_638_952, "11.771 G", "28.1/9.4", "134 M")
_register("vgg16", "D", D, 138_357_544, "15.470 G", "27.0/8.8")
_register("vgg19", "E", E, 143_667_240, "19.632 G", "27.3/9.0")
