"""What networks that give logits for each pixel share: the sizes of images, and scores."""

import contextlib
from collections.abc import Iterator
from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax.models.net import ChoiceNet

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch rows columns features"]
PixelLogits = Float[Array, "batch height width classes"]
"""The logits of each pixel."""


class PixelNet(ChoiceNet):
    """A network that gives logits for each pixel, [batch, height, width, classes]."""

    @property
    def multiple(self) -> int:
        """The number that must divide the sides of the images."""
        return 1

    @linen.nowrap
    @contextlib.contextmanager
    def checked_images(
        self, variables: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Iterator[None]:
        """Refuses images of sides that cannot be halved, and explains the errors of others.

        Args:
            variables: the network's; None while it is initialized.
            args: positional arguments of `__call__`.
            kwargs: keyword arguments of `__call__` and of Flax's method.
        """
        images = args[0] if args else kwargs.get("x")
        # Arrays of another form have errors of their own.
        if images is not None and kwargs.get("method") is None and jnp.ndim(images) == 4:
            self.check_sides(jnp.shape(images))
        with super().checked_images(variables, args, kwargs):
            yield

    @linen.nowrap
    def check_sides(self, shape: tuple[int, ...]) -> None:
        """Raises an error for images whose sides this network cannot divide often enough.

        Args:
            shape: of the images, [batch, height, width, channels].

        Raises:
            ValueError: a side is no multiple of `multiple`; the message has the nearest sizes.
        """
        multiple, (height, width) = self.multiple, shape[1:3]
        if height % multiple == 0 and width % multiple == 0:
            return
        # The size below; at least one unit.
        below = [max(side // multiple, 1) * multiple for side in (height, width)]
        above = [-(-side // multiple) * multiple for side in (height, width)]
        sizes = dict.fromkeys("{}x{}".format(*each) for each in (below, above))
        raise ValueError(
            f"{type(self).__name__}: both sides of the images must be multiples of {multiple}, "
            "because its smallest maps have a unit for that many pixels, got "
            f"{height}x{width}; resize, crop or pad them to {' or '.join(sizes)}"
        )

    def scores(
        self, x: Images, name: str = "classifier", window: tuple[int, int] = (1, 1)
    ) -> PixelLogits:
        """Returns the logits of each unit, by a convolution.

        Args:
            x: feature maps.
            name: of the layer.
            window: of its kernel.
        """
        kernel_init = self.initializers.classifier
        return self.conv(self.num_classes, window, kernel_init=kernel_init, name=name)(x)
