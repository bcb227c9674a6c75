"""What networks share that enlarge the maps of an encoder, chosen by its name."""

from collections.abc import Mapping
from typing import Any

import flax.linen as linen
from flax.core import FrozenDict

from cnnjax.models.dense.encoder import Encoder, find_backbone
from cnnjax.models.dense.pixel_net import PixelNet
from cnnjax.models.dense.upsampling import UPSAMPLING
from cnnjax.models.net import Net


class EncoderNet(PixelNet):
    """A network that gives logits for each pixel from the maps of an encoder.

    Attributes:
        encoder: name of the backbone; None for the paper's own encoder, where there is one.
        encoder_fields: fields of the backbone to set, such as `{"norm": "group"}`; its dtype,
            backward rules and initialization are this network's.
        upsampling: how maps are enlarged: "nearest", "bilinear", "max_unpool" (the remembered
            switches of the encoder's pools), or "transposed" (a learned kernel that starts as
            interpolation).
    """

    num_classes: int = 21
    encoder: str | None = None
    encoder_fields: Mapping[str, Any] = FrozenDict()
    upsampling: str = "bilinear"

    def __post_init__(self) -> None:
        """Checks the values of the fields.

        Raises:
            ValueError: a value is not allowed; the message names the field and the allowed values.
        """
        if not isinstance(self.encoder_fields, Mapping):
            raise ValueError(
                f"{type(self).__name__}: encoder_fields must be fields of the encoder with their "
                f"values, such as {{'norm': 'group'}}, got {self.encoder_fields!r}"
            )
        # Configurations that are read from JSON have lists.
        fields = {key: _without_lists(value) for key, value in self.encoder_fields.items()}
        object.__setattr__(self, "encoder_fields", FrozenDict(fields))
        super().__post_init__()
        if self.encoder is None:
            self.check_without_encoder()
        else:
            self.check_encoder(self.find_encoder())

    @linen.nowrap
    def field_choices(self) -> dict[str, tuple]:
        """Returns the allowed values of the fields added here, by field."""
        return {"upsampling": UPSAMPLING}

    @linen.nowrap
    def check_without_encoder(self) -> None:
        """Checks the fields of a network whose `encoder` is None.

        Raises:
            ValueError: this network needs an encoder, or fields are for one.
        """
        raise ValueError(
            f"{type(self).__name__}: encoder must be a network's name, such as 'vgg16', got None"
        )

    @linen.nowrap
    def check_encoder(self, found: Encoder) -> None:
        """Checks that the encoder has what this network needs.

        Args:
            found: the encoder.

        Raises:
            ValueError: it has not remembered the switches that unpooling needs, or has no strides.
        """
        if self.upsampling == "max_unpool":
            check_pooled(self, found)

    @linen.nowrap
    def find_encoder(self, **fields: Any) -> Encoder:
        """Returns the encoder, unbound.

        Args:
            **fields: of the backbone, that `encoder_fields` may replace.

        Raises:
            ValueError: there is no such encoder, or it takes no such fields.
        """
        common = {"backward": self.backward, "initialization": self.initialization}
        fields = {**common, **fields, **self.encoder_fields}
        backbone = find_backbone(str(self.encoder), None, self.dtype, fields)
        return Encoder(backbone, parent=None)

    @linen.nowrap
    def encoder_layer(self) -> Encoder:
        """Returns the encoder as a layer of this network, within its compact method."""
        return Encoder(self.find_encoder().backbone, name="encoder")

    @linen.nowrap
    def part(self, name: str) -> Net:
        """Returns a part whose weights can be loaded by themselves: the encoder's backbone.

        Args:
            name: "encoder".

        Raises:
            ValueError: there is no such part.
        """
        if name != "encoder":
            raise ValueError(
                f"{type(self).__name__} has no part {name!r} with weights of its own; there is "
                "'encoder'"
            )
        if self.encoder is None:
            raise ValueError(
                f"{type(self).__name__}: its encoder is no network of the registry, so that no "
                "weights are for it alone; make it with one, such as encoder='resnet18'"
            )
        return self.find_encoder().backbone


def check_pooled(net: EncoderNet, found: Encoder) -> None:
    """Raises an error for an encoder that has no max pool for each stride.

    Args:
        net: the network, for the message.
        found: its encoder.

    Raises:
        ValueError: maps of a stride above 1 were not made by a max pool.
    """
    strided = {level.stride: level.pooled for level in reversed(found.levels) if level.stride > 1}
    without = [stride for stride in sorted(strided) if not strided[stride]]
    if without or not strided:
        raise ValueError(
            f"{type(net).__name__}: upsampling='max_unpool' needs an encoder whose max pools made "
            f"all its maps, and those of {net.encoder!r} of stride "
            f"{', '.join(map(str, without)) or 'more than 1'} were not; use a VGG or a simple_cnn, "
            "or another upsampling"
        )


def _without_lists(value: Any) -> Any:
    """Returns a value with its lists as tuples."""
    return tuple(map(_without_lists, value)) if isinstance(value, list | tuple) else value
