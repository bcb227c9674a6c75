"""Framing: photographs of any size become squares of one size, cut and resized on the host."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from cnnjax.data.read.decode import opencv

ASPECTS = (3 / 4, 4 / 3)
"""Bounds of width over height of the cuts of `areas` (Szegedy et al. 2014, section 6)."""

# As many as in torchvision.
_ATTEMPTS = 10

Image = UInt8[np.ndarray, "height width channels"]
Square = UInt8[np.ndarray, "side side channels"]


class Box(NamedTuple):
    """A part of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Framing:
    """How a photograph becomes a square.

    The photograph is resized so that its shorter side is `short_side`, and a square of `crop`
    pixels is cut from it: in evaluation from the center, in training anywhere. Both are done in one
    step: the box of the stored image that becomes the square is resized to `crop` pixels.

    Attributes:
        short_side: length of the shorter side from which the square is cut.
        crop: side of the square.
        short_sides: in training, bounds between which the shorter side is drawn evenly, instead of
            `short_side`: scale jitter (Simonyan and Zisserman 2014, section 3.1; He et al. 2015,
            section 3.4, with 256 and 480).
        areas: in training, bounds of the cut's share of the image's area, instead of a square of
            fixed scale. The aspect ratio is drawn from `ASPECTS` on a logarithmic scale (Szegedy et
            al. 2014, section 6, with 0.08 and 1).

    Raises:
        ValueError: the numbers do not go together.
    """

    short_side: int
    crop: int
    short_sides: tuple[int, int] | None = None
    areas: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.crop <= self.short_side:
            raise ValueError(
                f"crop: {self.crop} does not fit into a shorter side of {self.short_side}; "
                "give 1 up to that"
            )
        if self.short_sides and self.areas:
            raise ValueError(
                f"short_sides {self.short_sides} and areas {self.areas} were both given; "
                "each decides how training images are cut: give one"
            )
        if self.short_sides and not self.crop <= self.short_sides[0] <= self.short_sides[1]:
            raise ValueError(
                f"short_sides: {self.short_sides} are not two rising lengths from crop, "
                f"{self.crop}, on"
            )
        if self.areas and not 0 < self.areas[0] <= self.areas[1] <= 1:
            raise ValueError(f"areas: {self.areas} are not two rising shares of 1")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a framed photograph."""
        return self.crop, self.crop, 3

    def train(self, image: Image, generator: np.random.Generator) -> Square:
        """Cuts a random square, as in training.

        Args:
            image: the photograph.
            generator: draws the square.
        """
        height, width = image.shape[:2]
        return self.resized(image, self.box(height, width, generator))

    def evaluate(self, image: Image) -> Square:
        """Cuts the central square, as in evaluation.

        Args:
            image: the photograph.
        """
        return self.resized(image, self.box(*image.shape[:2]))

    def box(self, height: int, width: int, generator: np.random.Generator | None = None) -> Box:
        """Returns the part of an image that becomes the square.

        Args:
            height: the image's.
            width: the image's.
            generator: draws the part, as in training; None for the central one, as in evaluation.
        """
        if generator is None:
            side = self._cut(height, width, self.short_side)
            return Box((height - side) // 2, (width - side) // 2, side, side)
        if self.areas:
            return _area_box(height, width, self.areas, generator)
        short_side = self.short_side
        if self.short_sides:
            short_side = int(generator.integers(*self.short_sides, endpoint=True))
        side = self._cut(height, width, short_side)
        top = int(generator.integers(height - side, endpoint=True))
        left = int(generator.integers(width - side, endpoint=True))
        return Box(top, left, side, side)

    def _cut(self, height: int, width: int, short_side: int) -> int:
        """Returns the side, in stored pixels, of the square that becomes `crop` pixels."""
        # A narrow image may have less than one pixel for the square.
        return max(1, round(self.crop * min(height, width) / short_side))

    def resized(self, image: Image, box: Box) -> Square:
        """Resizes a part of an image to the square.

        Args:
            image: the photograph.
            box: the part.
        """
        cv2 = opencv()
        cut = image[box.top : box.top + box.height, box.left : box.left + box.width]
        # INTER_AREA averages over the footprint, which avoids aliasing where the image shrinks.
        shrinks = box.height >= self.crop and box.width >= self.crop
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resized = cv2.resize(cut, (self.crop, self.crop), interpolation=method)
        return resized.reshape(self.crop, self.crop, image.shape[2])

    def resized_mask(
        self, mask: UInt8[np.ndarray, "height width"], box: Box
    ) -> UInt8[np.ndarray, "side side"]:
        """Resizes a part of a mask to the square: each pixel takes the label under its center.

        Args:
            mask: a label for each pixel of the photograph.
            box: the part.
        """
        # Whole numbers are exact where a center lies between two stored pixels.
        centers = 2 * np.arange(self.crop) + 1
        rows = box.top + centers * box.height // (2 * self.crop)
        columns = box.left + centers * box.width // (2 * self.crop)
        return mask[np.ix_(rows, columns)]


def _area_box(
    height: int, width: int, areas: tuple[float, float], generator: np.random.Generator
) -> Box:
    """Draws a box by area and aspect; if none fits, returns the largest central one."""
    low, high = (math.log(aspect) for aspect in ASPECTS)
    for _ in range(_ATTEMPTS):
        area = height * width * generator.uniform(*areas)
        # Evenly on a logarithmic scale, so that 3/4 and 4/3 are equally probable.
        aspect = math.exp(generator.uniform(low, high))
        box_height, box_width = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < box_height <= height and 0 < box_width <= width:
            top = int(generator.integers(height - box_height, endpoint=True))
            left = int(generator.integers(width - box_width, endpoint=True))
            return Box(top, left, box_height, box_width)
    # As in torchvision, the aspect ratio is moved into its bounds.
    box_height = min(height, round(width / ASPECTS[0]))
    box_width = min(width, round(height * ASPECTS[1]))
    return Box((height - box_height) // 2, (width - box_width) // 2, box_height, box_width)
