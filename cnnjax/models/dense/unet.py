"""U-Net: the decoder joins each enlarged map with the encoder's own map of that size.

In the paper's form two 3x3 convolutions follow each of four pools, with twice the channels each
time, from 64 to 1,024; the way up mirrors the way down. Its convolutions are not padded, so that
388x388 scores come from 572x572 pixels; here they are padded, and scores have the images' size.
With `encoder`, the way down is a backbone of the registry.

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("unet", encoder="resnet18", num_classes=3)
    >>> for feature in models.feature_info(net, (64, 96, 3)):
    ...     print(feature.name, feature.shape)
    stride2 (32, 48, 64)
    stride4 (16, 24, 64)
    stride8 (8, 12, 128)
    stride16 (4, 6, 256)
    stride32 (2, 3, 512)
    decoded16 (4, 6, 256)
    decoded8 (8, 12, 128)
    decoded4 (16, 24, 64)
    decoded2 (32, 48, 32)
    decoded1 (64, 96, 16)
"""

from typing import Any, ClassVar, Literal, NamedTuple

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array

from cnnjax import nn
from cnnjax.models.dense.encoder_net import EncoderNet
from cnnjax.models.dense.pixel_net import Images, Maps, PixelLogits
from cnnjax.models.dense.upsampling import up_convolution
from cnnjax.models.info import ModelInfo
from cnnjax.models.initializers import HE_NORMAL, LECUN_NORMAL, Initializers
from cnnjax.models.registry import register


class Layers(NamedTuple):
    """What makes a network's layers, with its dtype, backward rules and choices.

    Attributes:
        conv, norm: make a convolution and a normalization.
        activate: the activation.
    """

    conv: Any
    norm: Any
    activate: Any


def conv_units(layers: Layers, x: Images, features: int, name: str) -> Maps:
    """Returns maps after two 3x3 convolutions, each with a normalization and the activation.

    Args:
        layers: what makes the layers.
        x: feature maps.
        features: channels of both.
        name: before the names of the layers.
    """
    for number in (1, 2):
        x = layers.conv(features, (3, 3), name=f"{name}_conv{number}")(x)
        x = layers.activate(layers.norm(name=f"{name}_norm{number}")(x))
    return x


class DoublingEncoder(linen.Module):
    """The paper's way down: two convolutions, then a 2x2 max pool and twice the channels.

    Attributes:
        base: channels at the images' size.
        depth: number of pools.
        layers: what makes the layers.
        backward: of the pools, "ours" or "native".
        remembers: whether the pools' switches are returned.
    """

    base: int
    depth: int
    layers: Layers
    backward: str
    remembers: bool

    @linen.compact
    def __call__(self, x: Images) -> tuple[dict[int, Array], dict[int, nn.Switches]]:
        """Returns the maps by their stride, and the pools' switches where they are needed.

        Args:
            x: images.
        """
        maps, switches = {}, {}
        for level in range(self.depth + 1):
            stride, name = 2**level, f"pool{level}"
            if level and self.remembers:
                pool = nn.MaxPoolWithSwitches(2, backward=self.backward, name=name)
                x, switches[stride] = pool(x)
            elif level:
                x = nn.MaxPool(2, backward=self.backward, name=name)(x)
            x = conv_units(self.layers, x, self.base * stride, f"level{level + 1}")
            maps[stride] = x
        return maps, switches


class UNet(EncoderNet):
    """An encoder, and a decoder that joins its maps again, from the coarsest to the finest.

    The sides of the images must be multiples of the encoder's last stride, 16 in the paper's form.
    A decoder's maps of stride s have `base` · s channels.

    Attributes:
        encoder: name of the backbone; None for the paper's way down.
        base: channels at the images' size; None for the paper's 64, or 16 with an encoder.
        depth: number of pools of the paper's way down.
        upsampling: "transposed" (the paper's 2x2 kernels of stride 2; they start as repetition of a
            random mixture of the channels), "nearest" or "bilinear", followed by a 2x2 convolution,
            or "max_unpool", which a 1x1 convolution precedes.
        norm: what follows each 3x3 convolution: "none" as in the paper, "batch" or "group".
        dropout_rate: of the coarsest maps; the paper gives no rate.

    Source: Ronneberger, Fischer and Brox, 2015, section 2 and figure 1.
    """

    num_classes: int = 2
    upsampling: str = "transposed"
    norm: Literal["batch", "group", "none"] = "none"
    base: int | None = None
    depth: int = 4
    dropout_rate: float = 0.5

    counts: ClassVar[tuple[str, ...]] = ("base", "depth")
    rates: ClassVar[tuple[str, ...]] = ("dropout_rate",)
    # Section 3: N(0, sqrt(2 / N)), with N the inputs of a unit.
    paper_initializers: ClassVar[Initializers] = Initializers(HE_NORMAL, HE_NORMAL, LECUN_NORMAL)

    @linen.nowrap
    def check_without_encoder(self) -> None:
        """Checks that no fields are for an encoder that is not there.

        Raises:
            ValueError: there are some.
        """
        if self.encoder_fields:
            raise ValueError(
                f"UNet: encoder_fields={dict(self.encoder_fields)!r} are for an encoder, and "
                "encoder is None; name one, such as encoder='resnet18', or set base and depth"
            )

    @property
    def multiple(self) -> int:
        """The stride of the encoder's last maps."""
        return 2**self.depth if self.encoder is None else self.find_encoder().strides[-1]

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> PixelLogits:
        """Returns the logits of each pixel.

        Args:
            x: images.
            train: whether dropout is on (stream "dropout"), and batch norms use the batch.
        """
        self.check_sides(x.shape)
        layers = Layers(self.conv, self.norm_layer(train), self.activate)
        maps, switches = self.encode(x, layers, train)
        for stride, each in maps.items():
            self.feature(f"stride{stride}", each)
        base = self.base or (64 if self.encoder is None else 16)
        finer = [s for s in dict.fromkeys((1, *maps)) if s < max(maps)]
        x = linen.Dropout(self.dropout_rate, deterministic=not train)(maps[max(maps)])
        stride = max(maps)
        for below in reversed(finer):
            remembered = switches.get(stride)
            x = up_convolution(self, x, base * below, stride // below, f"up{below}", remembered)
            if below in maps:
                # The encoder's own map has what pooling lost.
                x = jnp.concatenate([maps[below], x], axis=-1)
            x = conv_units(layers, x, base * below, f"decoder{below}")
            x, stride = self.feature(f"decoded{below}", x), below
        return self.scores(x)

    def encode(
        self, x: Images, layers: Layers, train: bool
    ) -> tuple[dict[int, Array], dict[int, nn.Switches]]:
        """Returns the encoder's maps by their stride, and the switches of its pools.

        Args:
            x: images.
            layers: what makes the layers of the paper's way down.
            train: whether batch norms use the batch's statistics.
        """
        remembers = self.upsampling == "max_unpool"
        if self.encoder is None:
            down = DoublingEncoder(
                self.base or 64, self.depth, layers, self.backward, remembers, name="encoder"
            )
            return down(x)
        found = self.encoder_layer()
        if not remembers:
            return found(x, train), {}
        named, switches = found.with_switches(x, train)
        return found.by_stride(named), switches


_SOURCE = "Ronneberger, Fischer and Brox, 2015"

register(
    UNet,
    ModelInfo(
        "unet",
        f"{_SOURCE}, figure 1",
        input_size=(512, 512, 1),
        parameters=31_030_658,
        multiply_adds="192.384 G",
        notes="Convolutions are padded, so that scores have the images' size; the paper's are not.",
    ),
)
