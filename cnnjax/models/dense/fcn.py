"""FCN-32s, 16s and 8s: a classification network slides over the image, its scores are enlarged.

The dense layers of VGG-16 become convolutions of the same weights. FCN-32s enlarges its scores by
32 at once; FCN-16s and 8s first add the scores of earlier, finer maps. The last enlargement is
fixed to bilinear interpolation, as in the paper; earlier ones are learned (`upsampling`). The
authors' code pads images by 100 pixels, so that the 7x7 convolution fits, and crops the scores;
here that convolution is padded instead, and scores and images have the same centers.

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("fcn8s", num_classes=3, hidden=(64, 64))
    >>> for feature in models.feature_info(net, (64, 96, 3)):
    ...     print(feature.name, feature.shape, feature.stride)
    stride2 (32, 48, 64) 2
    stride4 (16, 24, 128) 4
    stride8 (8, 12, 256) 8
    stride16 (4, 6, 512) 16
    stride32 (2, 3, 512) 32
    scores32 (2, 3, 3) 32
    scores16 (4, 6, 3) 16
    scores8 (8, 12, 3) 8
"""

from typing import Any, ClassVar, Literal

import flax.linen as linen
from jaxtyping import Array, Float

from cnnjax import nn
from cnnjax.models.dense.encoder import Encoder
from cnnjax.models.dense.encoder_net import EncoderNet
from cnnjax.models.dense.pixel_net import Images, PixelLogits
from cnnjax.models.dense.upsampling import enlarged, transposed
from cnnjax.models.info import ModelInfo, Published
from cnnjax.models.initializers import Initializers, normal
from cnnjax.models.registry import register
from cnnjax.models.statistics import IMAGENET

Scores = Float[Array, "batch rows columns classes"]
LargerScores = Float[Array, "batch height width classes"]


class FCN(EncoderNet):
    """A backbone, convolutions in the place of its dense layers, and enlarged scores.

    The sides of the images must be multiples of the stride of the encoder's last maps (32).

    Attributes:
        encoder: name of the backbone, any encoder.
        norm: what follows the convolutions in the place of dense layers.
        upsampling: of the scores, "transposed" (learned, starts as bilinear interpolation),
            "bilinear" or "nearest".
        output_stride: stride of the finest maps whose scores are added: 32 (the last ones alone),
            16, 8, or another stride of the encoder.
        hidden: channels of the convolutions in the place of dense layers; () for none.
        window: size of the first one's kernel.
        dropout_rate: of the hidden layers' outputs.
        learned_last: whether the last enlargement is learned too, for "transposed".

    Source: Long, Shelhamer and Darrell, 2015, sections 3 and 4.
    """

    encoder: str | None = "vgg16"
    norm: Literal["batch", "group", "none"] = "none"
    upsampling: str = "transposed"
    output_stride: int = 32
    hidden: tuple[int, ...] = (4096, 4096)
    window: int = 7
    dropout_rate: float = 0.5
    learned_last: bool = False

    counts: ClassVar[tuple[str, ...]] = ("output_stride", "hidden", "window")
    rates: ClassVar[tuple[str, ...]] = ("dropout_rate",)
    # The convolutions come from VGG. Section 4.2: layers of scores start at zero.
    paper_initializers: ClassVar[Initializers] = Initializers(
        normal(0.01).conv, normal(0.01).dense, linen.initializers.zeros
    )

    @linen.nowrap
    def field_choices(self) -> dict[str, tuple]:
        """Returns the allowed values of the fields added here, by field."""
        return {"upsampling": ("nearest", "bilinear", "transposed")}

    @linen.nowrap
    def check_encoder(self, found: Encoder) -> None:
        """Checks that the encoder has maps of the output's stride.

        Args:
            found: the encoder.

        Raises:
            ValueError: it has none.
        """
        if self.output_stride not in found.strides:
            raise ValueError(
                f"{type(self).__name__}: output_stride must be a stride of the encoder "
                f"{self.encoder!r}, one of {found.strides}, got {self.output_stride!r}"
            )

    @property
    def multiple(self) -> int:
        """The stride of the encoder's last maps."""
        return self.find_encoder().strides[-1]

    @property
    def added_strides(self) -> tuple[int, ...]:
        """Strides of the maps whose scores are added, from the last but one to the finest."""
        *earlier, _ = self.find_encoder().strides
        return tuple(s for s in reversed(earlier) if s >= self.output_stride)

    @property
    def classifiers(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Names of the layers of scores."""
        return ("classifier", *(f"classifier{stride}" for stride in self.added_strides))

    @property
    def class_layers(self) -> tuple[str, ...]:
        """Names of the layers whose shapes depend on the number of classes."""
        return (*self.classifiers, *(f"up{stride}" for stride in (*self.added_strides, 1)))

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> PixelLogits:
        """Returns the logits of each pixel.

        Args:
            x: images.
            train: whether dropout is on (stream "dropout"), and batch norms use the batch.
        """
        self.check_sides(x.shape)
        height = x.shape[1]
        maps = self.encoder_layer()(x, train)
        for stride, each in maps.items():
            self.feature(f"stride{stride}", each)
        last = max(maps)
        x = maps[last]
        dropout = linen.Dropout(self.dropout_rate, deterministic=not train)
        for number, features in enumerate(self.hidden, start=6):
            window = self.window if number == 6 else 1
            conv = self.conv(features, (window, window), name=f"fc{number}")
            x = self.norm_layer(train)(name=f"fc{number}_norm")(conv(x))
            x = dropout(self.activate(x))
        x = self.feature(f"scores{last}", self.scores(x))
        for stride in self.added_strides:
            # Two levels of one backbone may differ by more than a factor of two.
            x = self.enlarge(x, maps[stride].shape[1] // x.shape[1], f"up{stride}")
            x = x + self.scores(maps[stride], name=f"classifier{stride}")
            x = self.feature(f"scores{stride}", x)
        factor = height // x.shape[1]
        if self.upsampling == "transposed" and not self.learned_last:
            # The paper fixes the last kernel to interpolation.
            return nn.Upsample(factor, "bilinear", name="up1")(x)
        return self.enlarge(x, factor, "up1")

    def enlarge(self, x: Scores, factor: int, name: str) -> LargerScores:
        """Returns enlarged scores; the learned kernels are those between all pairs of classes.

        Args:
            x: scores.
            factor: how many times larger.
            name: of the layer.
        """
        if self.upsampling == "transposed":
            return transposed(self, x, self.num_classes, factor, name)
        return enlarged(self, x, factor, name)

    @linen.nowrap
    def reset_layer(self, path: str, old: Any, num_classes: int, key: Any) -> dict[str, Any]:
        """Returns the new parameters of a layer whose shape depends on the number of classes.

        Args:
            path: of the layer.
            old: its parameters.
            num_classes: the new number.
            key: for the new kernel.
        """
        if not path.startswith("up"):
            return super().reset_layer(path, old, num_classes, key)
        kernel = old["kernel"]
        shape = (*kernel.shape[:2], num_classes, num_classes)
        return {"kernel": nn.bilinear_init()(key, shape, kernel.dtype)}


_SOURCE = "Long, Shelhamer and Darrell, 2015"

for _stride, _parameters, _multiply_adds in (
    (32, 134_346_581, "110.802 G"),
    (16, 134_364_410, "110.815 G"),
    (8, 134_376_863, "110.844 G"),
):
    register(
        FCN,
        ModelInfo(
            f"fcn{_stride}s",
            f"{_SOURCE}, section 4; VGG-16",
            input_size=(512, 512, 3),
            parameters=_parameters,
            multiply_adds=_multiply_adds,
            notes="The 7x7 convolution is padded here; the "
            "authors pad the images by 100 pixels and crop the scores.",
            published=Published("table 1", "134 M") if _stride == 32 else None,
            **IMAGENET,
        ),
        output_stride=_stride,
    )
