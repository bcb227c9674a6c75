"""Movements of an example: the new places of its pixels, and of the points between them.

A pixel in row i covers the rows from i to i + 1, so that its center is at i + 0.5. The movements in
this file are by whole pixels; `resample` has the others.
"""

import abc
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Integer

from cnnjax.data.augment.fill import (
    IGNORED_LABEL,
    Fill,
    Image,
    Mask,
    filled,
    filling_label,
)

Points = Float[Array, "points 2"]
Boxes = Float[Array, "boxes 4"]

MovedImage = Float[Array, "_ _ channels"]
"""An image after a movement, which may have changed its height and width."""

MovedMask = Integer[Array, "_ _ *one"]
"""A mask after a movement, which may have changed its height and width."""


class Motion(abc.ABC):
    """One movement, drawn for one example."""

    @abc.abstractmethod
    def move_image(self, image: Image) -> MovedImage:
        """Moves the pixels of an image, interpolating between them.

        Args:
            image: pixels from 0 to 1.
        """

    @abc.abstractmethod
    def move_mask(self, mask: Mask) -> MovedMask:
        """Moves the labels of a mask; each new pixel takes the nearest old one's.

        Args:
            mask: a label for each pixel.
        """

    @abc.abstractmethod
    def move_points(self, points: Points) -> Points:
        """Moves points, also those outside the image.

        Args:
            points: rows and columns in pixels.
        """


def move_boxes(motion: Motion, boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """Returns the bounding boxes of moved boxes (top, left, bottom, right), cut to the image.

    Args:
        motion: the movement.
        boxes: top, left, bottom and right, in pixels.
        size: height and width of the image after the movement.

    Returns:
        Boxes in the same order; zeros where no area is left.
    """
    corners = jnp.stack([boxes[:, [row, column]] for row in (0, 2) for column in (1, 3)], axis=1)
    # A turned box is no longer upright: its bounding box is that of its four moved corners.
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
        mask_fill: the label with which masks are padded.
    """

    top: Int[Array, ""]
    left: Int[Array, ""]
    padding: int
    mode: str = "fill"
    fill: Fill = 0.0
    mask_fill: int = IGNORED_LABEL

    def move_image(self, image: Image) -> Image:
        """Cuts the window out of the padded image; see `Motion`.

        Args:
            image: pixels from 0 to 1.
        """
        if self.mode == "reflect":
            return self._reflected(image)
        height, width, channels = image.shape
        large = (height + 2 * self.padding, width + 2 * self.padding, channels)
        # `jnp.pad` takes one value only, and a fill may have one for each channel.
        canvas = filled(self.fill, jnp.empty(large, image.dtype))
        padded = jax.lax.dynamic_update_slice(canvas, image, (self.padding, self.padding, 0))
        return self._cut(padded, image.shape)

    def move_mask(self, mask: Mask) -> Mask:
        """Cuts the window out of the padded mask; see `Motion`.

        Args:
            mask: a label for each pixel.
        """
        if self.mode == "reflect":
            return self._reflected(mask)
        label = filling_label(self.mask_fill, mask)
        return self._cut(jnp.pad(mask, self._margins(mask), constant_values=label), mask.shape)

    def move_points(self, points: Points) -> Points:
        """Moves points into the window; see `Motion`.

        Args:
            points: rows and columns in pixels.
        """
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
    """A mirror image, left to right, or the image as it is.

    Attributes:
        mirrored: whether the image is mirrored; drawn, and so known only when it runs.
        width: width of the image in pixels.
    """

    mirrored: Bool[Array, ""]
    width: int

    def move_image(self, image: Image) -> Image:
        """Mirrors an image; see `Motion`.

        Args:
            image: pixels from 0 to 1.
        """
        return jnp.where(self.mirrored, image[:, ::-1], image)

    def move_mask(self, mask: Mask) -> Mask:
        """Mirrors a mask; see `Motion`.

        Args:
            mask: a label for each pixel.
        """
        return jnp.where(self.mirrored, mask[:, ::-1], mask)

    def move_points(self, points: Points) -> Points:
        """Mirrors points; see `Motion`.

        Args:
            points: rows and columns in pixels.
        """
        other = jnp.stack([points[:, 0], self.width - points[:, 1]], axis=1)
        return jnp.where(self.mirrored, other, points)
