"""SegNet: the encoder remembers where its maxima were, and the decoder puts values back there.

The decoder mirrors the encoder: each of its stages enlarges the maps to the size before a pool, and
has as many convolutions as the encoder before that pool. With `upsampling="max_unpool"` any size of
at least 32x32 works: a pool's switches keep the size that was pooled.

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("segnet", encoder="vgg11_bn")
    >>> for feature in models.feature_info(net, (96, 64, 3)):
    ...     print(feature.name, feature.shape)
    block1 (48, 32, 64)
    block2 (24, 16, 128)
    block3 (12, 8, 256)
    block4 (6, 4, 512)
    block5 (3, 2, 512)
    decoded16 (6, 4, 512)
    decoded8 (12, 8, 256)
    decoded4 (24, 16, 128)
    decoded2 (48, 32, 64)
"""

from typing import Any, ClassVar, Literal

import flax.linen as linen

from cnnjax.models.dense.encoder import Encoder
from cnnjax.models.dense.encoder_net import EncoderNet
from cnnjax.models.dense.pixel_net import Images, Maps, PixelLogits
from cnnjax.models.dense.upsampling import enlarged
from cnnjax.models.info import ModelInfo
from cnnjax.models.initializers import HE_NORMAL, LECUN_NORMAL, Initializers
from cnnjax.models.registry import register
from cnnjax.models.simple_cnn import SimpleCNN
from cnnjax.models.statistics import IMAGENET
from cnnjax.models.vgg import VGG


class SegNet(EncoderNet):
    """An encoder, and a decoder that mirrors it; the last convolution gives the logits.

    Attributes:
        encoder: name of the backbone; for "max_unpool" a VGG or a simple_cnn with max pools.
        upsampling: "max_unpool", "nearest", "bilinear" or "transposed" (a kernel for each channel).
            Other ways than "max_unpool" need sides that are multiples of the encoder's last stride.
        norm: what follows the decoder's convolutions but the last: "batch", "group" or "none".

    Source: Badrinarayanan, Kendall and Cipolla, 2017, section 3.
    """

    num_classes: int = 11
    encoder: str | None = "vgg16_bn"
    upsampling: str = "max_unpool"
    norm: Literal["batch", "group", "none"] = "batch"

    paper_initializers: ClassVar[Initializers] = Initializers(HE_NORMAL, HE_NORMAL, LECUN_NORMAL)

    @linen.nowrap
    def check_encoder(self, found: Encoder) -> None:
        """Checks that the encoder halves the size, and remembers the switches that are needed.

        Args:
            found: the encoder.

        Raises:
            ValueError: it does not.
        """
        super().check_encoder(found)
        if max(found.strides) == 1:
            raise ValueError(
                f"{type(self).__name__}: encoder must make its maps smaller, and those of "
                f"{self.encoder!r} have the images' size; leave its pooling on"
            )

    @property
    def multiple(self) -> int:
        """The stride of the encoder's last maps; 1 where switches remember the sizes."""
        return 1 if self.upsampling == "max_unpool" else self.find_encoder().strides[-1]

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> PixelLogits:
        """Returns the logits of each pixel.

        Args:
            x: images.
            train: whether batch norms use the batch's statistics.
        """
        self.check_sides(x.shape)
        found = self.encoder_layer()
        switches: dict[int, Any] = {}
        if self.upsampling == "max_unpool":
            named, switches = found.with_switches(x, train)
        else:
            named = found.named(x, train)
        for name, each in named.items():
            self.feature(name, each)
        maps = found.by_stride(named)
        counts = mirrored_convs(found)
        # The strides to enlarge to, and the channels there; none are known for the image's own.
        strides = [*(s for s in maps if s > 1)]
        wanted = {below: maps[below].shape[-1] for below in strides[:-1]}
        x = maps[strides[-1]]
        for stride, below in zip(reversed(strides), [*reversed(strides[:-1]), 1], strict=True):
            x = enlarged(self, x, stride // below, f"up{below}", switches.get(stride))
            count = counts[stride]
            for number in range(1, count + (below > 1)):
                features = wanted[below] if below > 1 and number == count else x.shape[-1]
                x = self.unit(x, features, f"decoder{below}_conv{number}", train)
            if below > 1:
                x = self.feature(f"decoded{below}", x)
        return self.scores(x, window=(3, 3))

    def unit(self, x: Images, features: int, name: str, train: bool) -> Maps:
        """Returns maps after a 3x3 convolution, a normalization and the activation.

        Args:
            x: feature maps.
            features: channels of the result.
            name: of the convolution.
            train: whether batch norms use the batch's statistics.
        """
        x = self.conv(features, (3, 3), name=name)(x)
        return self.activate(self.norm_layer(train)(name=f"{name}_norm")(x))


def mirrored_convs(found: Encoder) -> dict[int, int]:
    """Returns the number of the decoder's convolutions by the stride that they enlarge.

    Args:
        found: the encoder.

    Returns:
        As many as the encoder has in its block of that stride where that is known, else 2.
    """
    net = found.backbone
    counts: tuple[int, ...] = ()
    if isinstance(net, VGG):
        counts = tuple(len(kernels) for kernels in net.blocks)
    elif isinstance(net, SimpleCNN):
        counts = net.each_stage("depth")
    strides = [stride for stride in found.strides if stride > 1]
    return dict(zip(strides, counts or (2,) * len(strides), strict=True))


register(
    SegNet,
    ModelInfo(
        "segnet",
        "Badrinarayanan, Kendall and Cipolla, 2017; VGG-16 with batch norm",
        input_size=(360, 480, 3),
        parameters=29_449_355,
        multiply_adds="106.288 G",
        **IMAGENET,
    ),
)
