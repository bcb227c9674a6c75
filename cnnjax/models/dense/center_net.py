"""CenterNet: objects as the points of a heat map, on any backbone.

The decoder enlarges the backbone's last maps to a stride of 4, and adds the backbone's own maps of
each size on the way. Three heads follow: a heat map for each class, the height and width of the
object at each cell, and the offset of its center from the cell's corner.

Example:
    >>> import jax
    >>> from cnnjax import models
    >>> net = models.create_model("center_net", encoder="resnet18", num_classes=3)
    >>> images = jax.ShapeDtypeStruct((1, 64, 96, 3), "float32")
    >>> maps, _ = jax.eval_shape(net.init_with_output, jax.random.key(0), images)
    >>> maps.shape
    (1, 16, 24, 7)
"""

import functools
import itertools
import math
from typing import Any, ClassVar, Literal

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax.models.dense.encoder import Encoder
from cnnjax.models.dense.encoder_net import EncoderNet
from cnnjax.models.dense.pixel_net import Images, Maps
from cnnjax.models.dense.upsampling import enlarged
from cnnjax.models.info import ModelInfo
from cnnjax.models.initializers import HE_NORMAL, Initializers
from cnnjax.models.registry import register

SIDES, OFFSETS = 2, 2
"""Height and width, and the offset's rows and columns."""

PRIOR_LOGIT = math.log(0.1 / 0.9)
"""The logit of a center in each cell at the start, of a probability of 0.1.

Lin et al. 2017, section 3.3, have a prior; Zhou et al.'s code has this one.
"""

CenterMaps = Float[Array, "batch rows columns values"]
"""For each cell the logits of the classes, then height and width, then the offset, in cells."""


class CenterNet(EncoderNet):
    """A backbone with a decoder and the three heads of a center network.

    Attributes:
        encoder: name of the backbone.
        stride: pixels of the image for a cell of the maps, 4 in the paper; one of the encoder's
            strides, or the smallest of them where all are larger.
        width: channels of the decoder and of the heads' hidden layers, 64 in the paper's heads.
        skips: whether the encoder's own map of each size is added on the way, as the paper's DLA
            has it, and as feature pyramids do; its ResNets have none.
        norm: what follows each 3x3 convolution of the decoder.

    Source: Zhou, Wang and Krähenbühl, 2019, sections 3 and 5.
    """

    num_classes: int = 80
    encoder: str | None = "resnet18"
    stride: int = 4
    width: int = 64
    skips: bool = True
    norm: Literal["batch", "group", "none"] = "batch"

    counts: ClassVar[tuple[str, ...]] = ("stride", "width")
    # The last layers start small, so that the prior holds (Lin et al. 2017, section 4.1).
    paper_initializers: ClassVar[Initializers] = Initializers(
        HE_NORMAL, HE_NORMAL, linen.initializers.normal(0.01)
    )

    @linen.nowrap
    def check_encoder(self, found: Encoder) -> None:
        """Checks that the encoder has maps of the stride; see `EncoderNet.check_encoder`.

        Args:
            found: the encoder.

        Raises:
            ValueError: it has no such maps.
        """
        super().check_encoder(found)
        if self.stride not in found.strides:
            raise ValueError(
                f"CenterNet: stride={self.stride}, but the maps of {self.encoder!r} have strides "
                f"{', '.join(map(str, found.strides))}; give one of these, or another encoder"
            )

    @property
    def multiple(self) -> int:
        """The stride of the encoder's last maps."""
        return max(self.find_encoder().strides)

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> CenterMaps:
        """Returns heat logits, height and width, and offset of each cell.

        Args:
            x: images.
            train: whether batch norms use the batch.
        """
        self.check_sides(x.shape)
        maps = self.encoder_layer()(x, train)
        norm = self.norm_layer(train)
        strides = sorted((s for s in maps if s >= self.stride), reverse=True)
        x = self.feature(f"stride{strides[0]}", maps[strides[0]])
        x = self._unit(x, norm, f"neck{strides[0]}")
        for above, stride in itertools.pairwise(strides):
            x = enlarged(self, x, above // stride, f"up{stride}")
            if self.skips:
                own = self.feature(f"stride{stride}", maps[stride])
                x = x + self.conv(self.width, (1, 1), name=f"skip{stride}")(own)
            x = self.feature(f"decoded{stride}", self._unit(x, norm, f"neck{stride}"))
        score = functools.partial(
            self.conv, kernel_size=(1, 1), kernel_init=self.initializers.classifier
        )
        # At the start nearly all cells have no center, and should be sure of it.
        bias = linen.initializers.constant(PRIOR_LOGIT)
        heads = [
            score(self.num_classes, bias_init=bias, name="classifier")(self._head(x, "heat")),
            score(SIDES, name="sides")(self._head(x, "sides")),
            score(OFFSETS, name="offsets")(self._head(x, "offsets")),
        ]
        return jnp.concatenate(heads, axis=-1)

    @linen.nowrap
    def reset_layer(self, path: str, old: Any, num_classes: int, key: Any) -> dict[str, Any]:
        """Returns a new head of the heat map, whose bias is that of the start; see `Net`.

        Args:
            path: of the layer.
            old: its parameters.
            num_classes: the new number.
            key: for the new kernel.
        """
        new = super().reset_layer(path, old, num_classes, key)
        return {**new, "bias": jnp.full_like(new["bias"], PRIOR_LOGIT)}

    def _unit(self, x: Images, norm: Any, name: str) -> Maps:
        """Returns maps after a 3x3 convolution, a normalization and the activation."""
        x = self.conv(self.width, (3, 3), use_bias=self.needs_bias, name=f"{name}_conv")(x)
        return self.activate(norm(name=f"{name}_norm")(x))

    def _head(self, x: Images, name: str) -> Maps:
        return self.activate(self.conv(self.width, (3, 3), name=f"{name}_hidden")(x))


register(
    CenterNet,
    ModelInfo(
        "center_net",
        "Zhou et al., 2019, sections 3 and 5",
        input_size=(512, 512, 3),
        parameters=None,
        notes="The decoder is a feature pyramid of one width; the paper's ResNets have deformable "
        "convolutions before transposed ones.",
    ),
)
