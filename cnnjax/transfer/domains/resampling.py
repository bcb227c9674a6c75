"""Transforms that move values between pixels: blur, another size, rotation."""

import functools
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cnnjax.transfer.domains.transforms import (
    Changed,
    Image,
    Transform,
    as_pixels,
    check_positive,
)


@dataclass(frozen=True)
class Blurred(Transform):
    """The image is blurred by a Gaussian; beyond its edge lies its outermost pixel, repeated.

    Attributes:
        sigma: standard deviation of the Gaussian in pixels; it is cut at four deviations.

    Raises:
        ValueError: sigma is not above 0.
    """

    sigma: float = 1.0

    def __post_init__(self) -> None:
        """Refuses a deviation that is none."""
        check_positive("blurred", "sigma", self.sigma)

    def __call__(self, image: Image, generator: np.random.Generator) -> Changed:
        """Returns the blurred image.

        Args:
            image: uint8 pixels.
            generator: not used.
        """
        del generator
        height, width = image.shape[:2]
        return _along_both(image, _blur(height, self.sigma), _blur(width, self.sigma))


@dataclass(frozen=True)
class Resized(Transform):
    """The image gets another size by bilinear interpolation, with antialiasing where it shrinks.

    Attributes:
        size: height and width of the result, in pixels.

    Raises:
        ValueError: the size is no whole number above 0.
    """

    size: int

    def __post_init__(self) -> None:
        """Refuses a size that is none."""
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 1:
            raise ValueError(f"resized: size must be a whole number above 0, got {self.size!r}")

    def __call__(self, image: Image, generator: np.random.Generator) -> Changed:
        """Returns the image in its new size.

        Args:
            image: uint8 pixels.
            generator: not used.
        """
        del generator
        height, width = image.shape[:2]
        return _along_both(
            image, _interpolation(height, self.size), _interpolation(width, self.size)
        )


@dataclass(frozen=True)
class Rotated(Transform):
    """The image is rotated about its center by bilinear interpolation, with black outside.

    Attributes:
        angle: in degrees; positive angles turn counter-clockwise.

    Raises:
        ValueError: the angle is no finite number.
    """

    angle: float

    def __post_init__(self) -> None:
        """Refuses an angle that is none."""
        number = isinstance(self.angle, int | float) and not isinstance(self.angle, bool)
        if not number or not math.isfinite(self.angle):
            raise ValueError(f"rotated: angle must be a finite number, got {self.angle!r}")

    def __call__(self, image: Image, generator: np.random.Generator) -> Changed:
        """Returns the rotated image, of the same size.

        Args:
            image: uint8 pixels.
            generator: not used.
        """
        del generator
        height, width, channels = image.shape
        framed = np.zeros((height + 2, width + 2, channels))
        framed[1:-1, 1:-1] = image
        pixels = framed.reshape(-1, channels)
        places, shares = _rotation(height, width, float(self.angle))
        turned = sum(
            share[:, None] * pixels[place] for place, share in zip(places, shares, strict=True)
        )
        return as_pixels(np.asarray(turned).reshape(image.shape))


def _along_both(
    image: Image,
    rows: Float[np.ndarray, "new_height height"],
    columns: Float[np.ndarray, "new_width width"],
) -> Changed:
    """Returns an image multiplied by a matrix along each of its two axes."""
    return as_pixels(
        np.einsum("ab,bcd,ec->aed", rows, image.astype(np.float64), columns, optimize=True)
    )


@functools.lru_cache(maxsize=64)
def _blur(size: int, sigma: float) -> Float[np.ndarray, "size size"]:
    """Returns the matrix of a Gaussian blur along one axis."""
    radius = math.ceil(4 * sigma)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    matrix = np.zeros((size, size))
    for row in range(size):
        # The outermost pixels count for all places beyond them.
        np.add.at(matrix[row], np.clip(row + offsets, 0, size - 1), weights / weights.sum())
    return matrix


@functools.lru_cache(maxsize=64)
def _interpolation(size: int, new: int) -> Float[np.ndarray, "new size"]:
    """Returns the matrix of linear interpolation between the centers of pixels along one axis."""
    centers = (np.arange(new) + 0.5) * size / new - 0.5
    # A triangle as wide as the larger of the two kinds of pixels.
    reach = max(size / new, 1.0)
    weights = np.maximum(1 - np.abs(centers[:, None] - np.arange(size)) / reach, 0)
    return weights / weights.sum(axis=1, keepdims=True)


@functools.lru_cache(maxsize=64)
def _rotation(height: int, width: int, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places of four pixels for each pixel of a rotated image, and their shares.

    The places are those of an image with a frame of one black pixel, flattened.
    """
    radians = math.radians(angle)
    rows, columns = np.indices((height, width)).reshape(2, -1)
    down, right = rows - (height - 1) / 2, columns - (width - 1) / 2
    # Each pixel of the result looks up where it came from; rows count downwards.
    row = math.cos(radians) * down + math.sin(radians) * right + (height - 1) / 2
    column = -math.sin(radians) * down + math.cos(radians) * right + (width - 1) / 2
    # Of a quarter turn, sine and cosine are whole numbers but for rounding.
    row, column = np.round(row, 9), np.round(column, 9)
    top, left = np.floor(row), np.floor(column)
    places, shares = [], []
    for below in (0, 1):
        for beside in (0, 1):
            own_row, own_column = top + below, left + beside
            shares.append((1 - np.abs(row - own_row)) * (1 - np.abs(column - own_column)))
            # All that lies further outside is black, as the frame.
            framed_row = np.clip(own_row + 1, 0, height + 1).astype(np.intp)
            framed_column = np.clip(own_column + 1, 0, width + 1).astype(np.intp)
            places.append(framed_row * (width + 2) + framed_column)
    return np.stack(places), np.stack(shares)
