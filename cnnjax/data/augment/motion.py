"""Movements of an example: where its pixels, and the points between them, go.

A pixel in row i covers the rows from i to i + 1, so that its center is at i + 0.5.
"""

import abc
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

from cnnjax.data.augment.fill import (
    IGNORED_LABEL,
    Fill,
    Image,
    Mask,
    filled,
    filling_label,
)
from cnnjax.data.augment.rectangles import inside

Points = Float[Array, "points 2"]
Boxes = Float[Array, "boxes 4"]


class Motion(abc.ABC):
    """One movement, drawn for one example."""

    @abc.abstractmethod
    def move_image(self, image: Image) -> Image:
        """Moves pixels, interpolating between them."""

    @abc.abstractmethod
    def move_mask(self, mask: Mask) -> Mask:
        """Moves labels of pixels, taking the nearest."""

    @abc.abstractmethod
    def move_points(self, points: Points) -> Points:
        """Moves points (row, column), wherever they are."""


def move_boxes(motion: Motion, boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """Returns the bounding boxes of moved boxes (top, left, bottom, right), cut to the image.

    Args:
        motion: the movement.
        boxes: in pixels.
        size: height and width of the image after it.

    Returns:
        Boxes in the same order; zeros where no area is left.
    """
    corners = jnp.stack([boxes[:, [row, column]] for row in (0, 2) for column in (1, 3)], axis=1)
    moved = motion.move_points(corners.reshape(-1, 2)).reshape(corners.shape)
    limits = jnp.asarray(size, boxes.dtype).reshape(1, 2)
    first = jnp.clip(moved.min(axis=1), 0, limits)
    last = jnp.clip(moved.max(axis=1), 0, limits)
    kept = (last > first).all(axis=1, keepdims=True)
    return jnp.where(kept, jnp.concatenate([first, last], axis=1), 0)


@dataclass(frozen=True)
class Window(Motion):
    """A window of the image's own size, cut out of the padded image.

    Attributes:
        top: the window's first row in the padded image.
        left: its first column.
        padding: pixels on each side.
        mode: what the padding holds: "fill" or "reflect".
        fill: the color with which images are padded.
        mask_fill: the label with which masks are.
    """

    top: Int32[Array, ""]
    left: Int32[Array, ""]
    padding: int
    mode: str = "fill"
    fill: Fill = 0.0
    mask_fill: int = IGNORED_LABEL

    def move_image(self, image: Image) -> Image:
        """See `Motion`."""
        if self.mode == "reflect":
            return self._reflected(image)
        height, width, channels = image.shape
        large = (height + 2 * self.padding, width + 2 * self.padding, channels)
        canvas = filled(self.fill, jnp.empty(large, image.dtype))
        padded = jax.lax.dynamic_update_slice(canvas, image, (self.padding, self.padding, 0))
        return self._cut(padded, image.shape)

    def move_mask(self, mask: Mask) -> Mask:
        """See `Motion`."""
        if self.mode == "reflect":
            return self._reflected(mask)
        label = filling_label(self.mask_fill, mask)
        return self._cut(jnp.pad(mask, self._margins(mask), constant_values=label), mask.shape)

    def move_points(self, points: Points) -> Points:
        """See `Motion`."""
        corner = jnp.stack([self.top, self.left]) - self.padding
        return points - corner.astype(points.dtype).reshape(1, 2)

    def _reflected(self, part: Array) -> Array:
        return self._cut(jnp.pad(part, self._margins(part), mode="reflect"), part.shape)

    def _margins(self, part: Array) -> list[tuple[int, int]]:
        return [(self.padding, self.padding)] * 2 + [(0, 0)] * (part.ndim - 2)

    def _cut(self, padded: Array, shape: tuple[int, ...]) -> Array:
        return jax.lax.dynamic_slice(padded, (self.top, self.left, 0)[: padded.ndim], shape)


@dataclass(frozen=True)
class Mirror(Motion):
    """A mirror image, left to right, or none.

    Attributes:
        mirrored: whether it is.
        width: of the image.
    """

    mirrored: Bool[Array, ""]
    width: int

    def move_image(self, image: Image) -> Image:
        """See `Motion`."""
        return jnp.where(self.mirrored, image[:, ::-1], image)

    def move_mask(self, mask: Mask) -> Mask:
        """See `Motion`."""
        return jnp.where(self.mirrored, mask[:, ::-1], mask)

    def move_points(self, points: Points) -> Points:
        """See `Motion`."""
        other = jnp.stack([points[:, 0], self.width - points[:, 1]], axis=1)
        return jnp.where(self.mirrored, other, points)


@dataclass(frozen=True)
class ResizedPart(Motion):
    """A rectangle of the image, resized: bilinearly, averaging over the footprint where it shrinks.

    Attributes:
        corner: the rectangle's top and left.
        sides: its height and width.
        target: height and width of what comes out.
    """

    corner: Int32[Array, "2"]
    sides: Int32[Array, "2"]
    target: tuple[int, int]

    @property
    def _scale(self) -> Float[Array, "2"]:
        return jnp.asarray(self.target, jnp.float32) / self.sides.astype(jnp.float32)

    def move_image(self, image: Image) -> Image:
        """See `Motion`."""
        height, width, channels = image.shape
        within = inside((height, width), self.corner, self.sides).astype(image.dtype)
        # Pixels beside the rectangle would weigh in at its edges: their share is taken out again.
        resized = jax.image.scale_and_translate(
            jnp.concatenate([image * within, within], axis=-1),
            (*self.target, channels + 1),
            (0, 1),
            self._scale,
            -self.corner.astype(jnp.float32) * self._scale,
            method="linear",
        )
        return resized[..., :-1] / resized[..., -1:]

    def move_mask(self, mask: Mask) -> Mask:
        """See `Motion`."""
        for axis, target in enumerate(self.target):
            # The pixel that holds the center of each that comes out.
            centers = (2 * jnp.arange(target, dtype=jnp.int32) + 1) * self.sides[axis]
            mask = jnp.take(mask, self.corner[axis] + centers // (2 * target), axis=axis)
        return mask

    def move_points(self, points: Points) -> Points:
        """See `Motion`."""
        corner, scale = (
            values.astype(points.dtype).reshape(1, 2) for values in (self.corner, self._scale)
        )
        return (points - corner) * scale


@dataclass(frozen=True)
class Turn(Motion):
    """A turn about the image's center, an enlargement, and a move after that; bilinear.

    Attributes:
        angle: radians, counter-clockwise.
        factor: by how much the image is enlarged.
        moves: pixels by which it is moved downwards and to the right.
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
        """See `Motion`."""
        sources = self._sources()
        background = filled(self.fill, image)

        def sample(channel: Array) -> Array:
            return jax.scipy.ndimage.map_coordinates(channel, sources, order=1, mode="constant")

        # Taken off, so that what enters is zero.
        sampled = jax.vmap(sample, in_axes=2, out_axes=2)(image - background)
        return sampled + background

    def move_mask(self, mask: Mask) -> Mask:
        """See `Motion`."""
        rows, columns = (jnp.floor(source + 0.5).astype(jnp.int32) for source in self._sources())
        height, width = self.size
        within = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        taken = mask[jnp.clip(rows, 0, height - 1), jnp.clip(columns, 0, width - 1)]
        within = within.reshape(within.shape + (1,) * (mask.ndim - 2))
        return jnp.where(within, taken, filling_label(self.mask_fill, mask))

    def move_points(self, points: Points) -> Points:
        """See `Motion`."""
        middle = jnp.asarray(self.size, points.dtype).reshape(1, 2) / 2
        rows, columns = (points - middle).T
        cosine, sine = jnp.cos(self.angle) * self.factor, jnp.sin(self.angle) * self.factor
        turned = jnp.stack([cosine * rows - sine * columns, sine * rows + cosine * columns], axis=1)
        return (turned + middle + self.moves.reshape(1, 2)).astype(points.dtype)

    def _sources(self) -> list[Float[Array, "height width"]]:
        """Returns row and column that each pixel of the result comes from, centers at integers."""
        height, width = self.size
        middle = ((height - 1) / 2, (width - 1) / 2)
        rows = (jnp.arange(height, dtype=jnp.float32) - middle[0]).reshape(-1, 1) - self.moves[0]
        columns = (jnp.arange(width, dtype=jnp.float32) - middle[1]).reshape(1, -1) - self.moves[1]
        # The map's inverse. Rows count downwards.
        cosine, sine = jnp.cos(self.angle) / self.factor, jnp.sin(self.angle) / self.factor
        return [
            cosine * rows + sine * columns + middle[0],
            cosine * columns - sine * rows + middle[1],
        ]
