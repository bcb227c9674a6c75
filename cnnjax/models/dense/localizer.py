"""A localizer: one trunk, with a class head and a box head.

The class head sees the last maps of a backbone without their places, so that what an object looks
like is learned once for all places. The box head sees them with their places.

Example:
    >>> import jax
    >>> from cnnjax import models
    >>> net = models.create_model("localizer", encoder="resnet18", num_classes=3)
    >>> images = jax.ShapeDtypeStruct((2, 64, 64, 3), "float32")
    >>> values, _ = jax.eval_shape(net.init_with_output, jax.random.key(0), images)
    >>> values.shape
    (2, 7)
"""

from typing import ClassVar, Literal

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import nn
from cnnjax.models.blocks.flat import flat
from cnnjax.models.dense.encoder_net import EncoderNet
from cnnjax.models.dense.pixel_net import Images
from cnnjax.models.info import ModelInfo
from cnnjax.models.initializers import HE_NORMAL, Initializers
from cnnjax.models.registry import register

BOX_NUMBERS = 4
"""Numbers of a box: x and y of its center, width and height, as shares of the image's sides."""

Values = Float[Array, "batch _"]

Located = Float[Array, "batch values"]
"""The logits of the classes, then the numbers of the box."""


class Localizer(EncoderNet):
    """A backbone with a class head and a box head: [batch, classes + 4].

    The numbers of the box start near the image's middle, with half its sides.

    Attributes:
        encoder: name of the backbone.
        grid: rows and columns of the grid on which the box head's input is averaged; None for the
            maps as they are, which fixes the size of the images.
        pooling: of the class head's input over all places, "average" or "max".
        hidden: units of the dense layers that each head has before its last one.
        dropout_rate: of the hidden layers' outputs.

    Source: the shared trunk with a head for each task is that of Sermanet et al., 2013, section 4.
    """

    num_classes: int = 10
    encoder: str | None = "resnet18"
    grid: int | None = None
    pooling: Literal["average", "max"] = "average"
    hidden: tuple[int, ...] = (128,)
    dropout_rate: float = 0.0

    counts: ClassVar[tuple[str, ...]] = ("hidden",)
    rates: ClassVar[tuple[str, ...]] = ("dropout_rate",)
    # The heads start small, so that all boxes start as the middle half of the image.
    paper_initializers: ClassVar[Initializers] = Initializers(
        HE_NORMAL, HE_NORMAL, linen.initializers.normal(0.01)
    )

    def __post_init__(self) -> None:
        """Checks the values of the fields.

        Raises:
            ValueError: a value is not allowed; the message names the field and the allowed values.
        """
        # Configurations that are read from JSON have lists.
        if isinstance(self.hidden, list):
            object.__setattr__(self, "hidden", tuple(self.hidden))
        super().__post_init__()
        if not isinstance(self.hidden, tuple):
            raise ValueError(
                f"Localizer: hidden must be a tuple of units, such as (128,), got {self.hidden!r}"
            )
        if self.grid is not None:
            self.check_values(
                "grid",
                lambda grid: isinstance(grid, int) and grid > 0,
                "an int of at least 1, or None",
            )

    @linen.nowrap
    def field_choices(self) -> dict[str, tuple]:
        """Returns the allowed values of the fields added here, by field."""
        return {**super().field_choices(), "pooling": ("average", "max")}

    @property
    def multiple(self) -> int:
        """Images of any size are taken: nothing is enlarged."""
        return 1

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> Located:
        """Returns the logits of the classes, then x, y, width and height of the box.

        Args:
            x: images.
            train: whether dropout is on (stream "dropout"), and batch norms use the batch.
        """
        maps = self.encoder_layer()(x, train)
        x = self.feature("trunk", maps[max(maps)])
        pooled = x.max(axis=(1, 2)) if self.pooling == "max" else x.mean(axis=(1, 2))
        logits = self.logits(self._hidden(pooled, "class", train))
        if self.grid is not None:
            x = nn.AdaptiveAvgPool((self.grid, self.grid), name="grid")(x)
        first = "box_hidden1" if self.hidden else "box"
        x = flat(self, first, x, "set grid, which takes any size")
        numbers = self.dense(
            BOX_NUMBERS,
            kernel_init=self.initializers.classifier,
            bias_init=linen.initializers.constant(0.5),
            name="box",
        )(self._hidden(x, "box", train))
        return jnp.concatenate([logits, numbers], axis=-1)

    def _hidden(self, x: Values, head: str, train: bool) -> Values:
        """Applies a head's hidden layers, each with dropout after it."""
        for number, units in enumerate(self.hidden, start=1):
            name = f"{head}_hidden{number}"
            x = self.feature(name, self.activate(self.dense(units, name=name)(x)))
            x = linen.Dropout(self.dropout_rate, deterministic=not train)(x)
        return x


register(
    Localizer,
    ModelInfo(
        "localizer",
        "Sermanet et al., 2013, section 4: one trunk, a head for the class and one for the box",
        input_size=(224, 224, 3),
        parameters=None,
        notes="Each head has one hidden layer; the class head sees the mean of the last maps.",
    ),
)
