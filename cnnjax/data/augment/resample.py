"""Movements whose pixels fall between those of the image: rectangles resized, and turns."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from cnnjax.data.augment.fill import (
    IGNORED_LABEL,
    Fill,
    Image,
    Mask,
    filled,
    filling_label,
)
from cnnjax.data.augment.motion import Motion, MovedImage, MovedMask, Points
from cnnjax.data.augment.rectangles import inside


@dataclass(frozen=True)
class ResizedPart(Motion):
    """A rectangle of the image, resized: bilinearly, averaging over the footprint where it shrinks.

    Attributes:
        corner: the rectangle's top and left.
        sides: its height and width.
        target: height and width of the result.
    """

    corner: Int32[Array, "2"]
    sides: Int32[Array, "2"]
    target: tuple[int, int]

    @property
    def _scale(self) -> Float[Array, "2"]:
        return jnp.asarray(self.target, jnp.float32) / self.sides.astype(jnp.float32)

    def move_image(self, image: Image) -> MovedImage:
        """Resizes the rectangle of an image; see `Motion`.

        Args:
            image: pixels from 0 to 1.
        """
        height, width, channels = image.shape
        within = inside((height, width), self.corner, self.sides).astype(image.dtype)
        # At the edges of the rectangle the filter also reaches pixels outside it. They are zeros
        # here, and the division by the resized weights removes their share again.
        resized = jax.image.scale_and_translate(
            jnp.concatenate([image * within, within], axis=-1),
            (*self.target, channels + 1),
            (0, 1),
            self._scale,
            -self.corner.astype(jnp.float32) * self._scale,
            method="linear",
        )
        return resized[..., :-1] / resized[..., -1:]

    def move_mask(self, mask: Mask) -> MovedMask:
        """Resizes the rectangle of a mask; see `Motion`.

        Args:
            mask: a label for each pixel.
        """
        for axis, target in enumerate(self.target):
            # The old pixel that holds the center of each new one. Whole numbers are exact where
            # that center lies between two old pixels.
            centers = (2 * jnp.arange(target, dtype=jnp.int32) + 1) * self.sides[axis]
            mask = jnp.take(mask, self.corner[axis] + centers // (2 * target), axis=axis)
        return mask

    def move_points(self, points: Points) -> Points:
        """Moves points into the resized rectangle; see `Motion`.

        Args:
            points: rows and columns in pixels.
        """
        corner, scale = (
            values.astype(points.dtype).reshape(1, 2) for values in (self.corner, self._scale)
        )
        return (points - corner) * scale


@dataclass(frozen=True)
class Turn(Motion):
    """A turn about the image's center, an enlargement, and then a move; bilinear.

    Attributes:
        angle: radians, counter-clockwise.
        factor: by how much the image is enlarged.
        moves: pixels by which the image is moved downwards and to the right.
        size: height and width of the image.
        fill: the color that enters images from beyond the edges.
        mask_fill: the label that enters masks.
    """

    angle: Array | float
    factor: Array | float
    moves: Float[Array, "2"]
    size: tuple[int, int]
    fill: Fill = 0.0
    mask_fill: int = IGNORED_LABEL

    def move_image(self, image: Image) -> Image:
        """Turns, enlarges and moves an image; see `Motion`.

        Args:
            image: pixels from 0 to 1.
        """
        sources = self._sources()
        background = filled(self.fill, image)

        def sample(channel: Array) -> Array:
            return jax.scipy.ndimage.map_coordinates(channel, sources, order=1, mode="constant")

        # `map_coordinates` can only fill with zeros: the background, once it is subtracted.
        sampled = jax.vmap(sample, in_axes=2, out_axes=2)(image - background)
        return sampled + background

    def move_mask(self, mask: Mask) -> Mask:
        """Turns, enlarges and moves a mask; see `Motion`.

        Args:
            mask: a label for each pixel.
        """
        # The nearest pixel. `jnp.round` would round halves to even numbers: not all to one side.
        rows, columns = (jnp.floor(source + 0.5).astype(jnp.int32) for source in self._sources())
        height, width = self.size
        within = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        # Negative indices would count from the other end.
        taken = mask[jnp.clip(rows, 0, height - 1), jnp.clip(columns, 0, width - 1)]
        within = within.reshape(within.shape + (1,) * (mask.ndim - 2))
        return jnp.where(within, taken, filling_label(self.mask_fill, mask))

    def move_points(self, points: Points) -> Points:
        """Turns, enlarges and moves points; see `Motion`.

        Args:
            points: rows and columns in pixels.
        """
        middle = jnp.asarray(self.size, points.dtype).reshape(1, 2) / 2
        rows, columns = (points - middle).T
        cosine, sine = jnp.cos(self.angle) * self.factor, jnp.sin(self.angle) * self.factor
        turned = jnp.stack([cosine * rows - sine * columns, sine * rows + cosine * columns], axis=1)
        return (turned + middle + self.moves.reshape(1, 2)).astype(points.dtype)

    def _sources(self) -> list[Float[Array, "height width"]]:
        """Returns the row and column that each pixel of the result comes from.

        As `map_coordinates` expects, pixels have their centers at integers here.
        """
        height, width = self.size
        middle = ((height - 1) / 2, (width - 1) / 2)
        rows = (jnp.arange(height, dtype=jnp.float32) - middle[0]).reshape(-1, 1) - self.moves[0]
        columns = (jnp.arange(width, dtype=jnp.float32) - middle[1]).reshape(1, -1) - self.moves[1]
        # The inverse of the turn: from a pixel of the result back to its source.
        cosine, sine = jnp.cos(self.angle) / self.factor, jnp.sin(self.angle) / self.factor
        return [
            cosine * rows + sine * columns + middle[0],
            cosine * columns - sine * rows + middle[1],
        ]
