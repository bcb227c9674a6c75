"""FCN on a dilated ResNet, as torchvision has it: the encoder's maps stay at an eighth of the size.

Its last two stages dilate their convolutions in place of halving. A head of a 3x3 and a 1x1
convolution gives the scores, which are interpolated to the image's size; an auxiliary head is on
the last stage but one.

Example:
    >>> import jax
    >>> from cnnjax import models
    >>> net = models.create_model("fcn_resnet50", aux_heads=False)
    >>> images = jax.ShapeDtypeStruct((1, 231, 197, 3), "float32")
    >>> logits, variables = jax.eval_shape(net.init_with_output, jax.random.key(0), images)
    >>> logits.shape, sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    ((1, 231, 197, 21), 32957013)
"""

from typing import Any, ClassVar

import flax.linen as linen
from jaxtyping import Array, Float

from cnnjax.models.dense.encoder import Encoder
from cnnjax.models.dense.encoder_net import EncoderNet
from cnnjax.models.dense.pixel_net import Images, PixelLogits
from cnnjax.models.dense.upsampling import Resize
from cnnjax.models.info import TORCHVISION, ModelInfo, Published
from cnnjax.models.initializers import HE_NORMAL, LECUN_NORMAL, Initializers
from cnnjax.models.registry import Entry, register
from cnnjax.models.resnet import ResNet
from cnnjax.models.statistics import IMAGENET

Scores = Float[Array, "batch height width classes"]


class ScoreHead(linen.Module):
    """A 3x3 convolution to a quarter of the channels, dropout, and a 1x1 convolution to scores.

    Attributes:
        num_classes: number of logits.
        conv, norm: make the layers.
        activate: the activation.
        classifier_init: initializer of the last kernel.
        dropout: applied before the last layer.
    """

    num_classes: int
    conv: Any
    norm: Any
    activate: Any
    classifier_init: Any
    dropout: Any

    @linen.compact
    def __call__(self, x: Images) -> Scores:
        """Returns logits at the maps' size.

        Args:
            x: feature maps.
        """
        x = self.conv(x.shape[-1] // 4, (3, 3), padding=1, use_bias=False, name="conv")(x)
        x = self.dropout(self.activate(self.norm(name="bn")(x)))
        kernel_init = self.classifier_init
        return self.conv(self.num_classes, (1, 1), kernel_init=kernel_init, name="classifier")(x)


class DilatedFCN(EncoderNet):
    """A dilated ResNet, a head of two convolutions, and interpolated scores; any input size.

    Auxiliary logits, from the last stage but one, are the feature "aux1", at the images' size.
    Their
    loss has weight 0.5 in torchvision's training.

    Attributes:
        encoder: name of the backbone, a ResNet.
        output_stride: pixels of the image from one unit of the encoder's last maps to the next.
        upsampling: of the scores: "bilinear".
        aux_heads: whether there is an auxiliary head.
        dropout_rate: of the heads' hidden maps.

    Source: Long, Shelhamer and Darrell, 2015; Chen et al., 2017 (dilation); torchvision.
    """

    encoder: str | None = "resnet50"
    output_stride: int = 8
    aux_heads: bool = True
    dropout_rate: float = 0.1

    counts: ClassVar[tuple[str, ...]] = ("output_stride",)
    rates: ClassVar[tuple[str, ...]] = ("dropout_rate",)
    classifiers: ClassVar[tuple[str, ...]] = ("head/classifier", "aux1/classifier")
    paper_initializers: ClassVar[Initializers] = Initializers(HE_NORMAL, HE_NORMAL, LECUN_NORMAL)

    @linen.nowrap
    def field_choices(self) -> dict[str, tuple]:
        """Returns the allowed values of the fields added here, by field."""
        return {"upsampling": ("bilinear",)}

    @linen.nowrap
    def check_encoder(self, found: Encoder) -> None:
        """Checks that the encoder has a last stage but one.

        Args:
            found: the encoder.

        Raises:
            ValueError: it has one stage alone.
        """
        if self.aux_heads and len(found.levels) < 3:
            raise ValueError(
                f"{type(self).__name__}: the auxiliary head is on the last stage but one, and "
                f"{self.encoder!r} has one stage alone; set aux_heads=False"
            )

    @linen.nowrap
    def find_encoder(self, **fields: Any) -> Encoder:
        """Returns the dilated encoder, a layer of this network within its compact method.

        Args:
            **fields: of the backbone.

        Raises:
            ValueError: it is no ResNet, or takes no such fields.
        """
        try:
            return super().find_encoder(output_stride=self.output_stride, **fields)
        except ValueError as error:
            if "takes no 'output_stride'" not in str(error):
                raise
            raise ValueError(
                f"{type(self).__name__}: encoder must be a {ResNet.__name__}, whose stages can "
                f"dilate, such as 'resnet50', got {self.encoder!r}"
            ) from error

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> PixelLogits:
        """Returns the logits of each pixel.

        Args:
            x: images.
            train: whether dropout is on (stream "dropout"), and batch norms use the batch.
        """
        height, width = x.shape[1:3]
        found = self.encoder_layer()
        maps = found.named(x, train)
        for name, each in maps.items():
            self.feature(name, each)
        *_, before, last = maps.values()
        if self.aux_heads and self.wants_auxiliary("aux1"):
            resize = Resize(height, width, name="aux1_resize")
            self.feature("aux1", resize(self.head("aux1", before, train)))
        scores = self.feature("scores", self.head("head", last, train))
        return Resize(height, width, name="resize")(scores)

    def head(self, name: str, x: Images, train: bool) -> Scores:
        """Returns the scores of a head.

        Args:
            name: of the head.
            x: feature maps.
            train: whether dropout is on, and batch norms use the batch.
        """
        head = ScoreHead(
            self.num_classes,
            self.conv,
            self.norm_layer(train),
            self.activate,
            self.initializers.classifier,
            linen.Dropout(self.dropout_rate, deterministic=not train),
            name=name,
        )
        return head(x)


_INFO = ModelInfo(
    "fcn_resnet50",
    "torchvision",
    input_size=(520, 520, 3),
    parameters=32_957_013,
    auxiliary_parameters=35_322_218 - 32_957_013,
    multiply_adds="142.726 G",
    notes="Mean IoU 60.5, pixel accuracy 91.4 (COCO's images, VOC's classes). The printed "
    "multiply-adds count the auxiliary head, which has 9.991 G.",
    published=Published(TORCHVISION, "35,322,218", "152.717 G", heads=True),
    **IMAGENET,
)

register(DilatedFCN, _INFO, variants={"torchvision": Entry(DilatedFCN, {}, _INFO, {})})
