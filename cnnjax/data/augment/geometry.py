"""Augmentations that move pixels, and masks, boxes and points with them."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from cnnjax.data.augment.checks import check_pixels, check_probability, check_range
from cnnjax.data.augment.fill import IGNORED_LABEL, Fill
from cnnjax.data.augment.motion import Mirror, Motion, Window
from cnnjax.data.augment.rectangles import draw_aspects, draw_rectangle
from cnnjax.data.augment.resample import ResizedPart, Turn
from cnnjax.data.augment.transform import Geometry, freeze_fields


@dataclass(frozen=True)
class Crop(Geometry):
    """Pads the image on each side, then cuts out a part of the image's own size anywhere.

    He et al. 2015, section 4.2, with a padding of 4. They pad with zeros after the mean was
    subtracted, that is, with the mean pixel. Zagoruyko and Komodakis 2016, section 3, reflect.

    Attributes:
        padding: pixels on each side.
        mode: what the padding holds: "fill" for one color, "reflect" for the image's reflection at
            the center of its outermost pixels.
        fill: the color of the padding where `mode` is "fill".
        mask_fill: the label that masks are padded with.

    Raises:
        ValueError: `padding` is no whole number, negative or too large, or the mode is unknown.
    """

    name = "crop"

    padding: int
    mode: str = "fill"
    fill: Fill = 0.0
    mask_fill: int = field(default=IGNORED_LABEL, kw_only=True)

    def __post_init__(self) -> None:
        """Raises an error where an argument cannot work."""
        freeze_fields(self)
        check_pixels("crop", "padding", self.padding, 0)
        if self.mode not in ("fill", "reflect"):
            raise ValueError(f"crop: mode is {self.mode!r}; give 'fill' or 'reflect'")

    def draw(self, key: Key[Array, ""], size: tuple[int, int]) -> Motion:
        """Draws the window; see `Geometry`.

        Args:
            key: a random key.
            size: height and width of the example.
        """
        del size
        top, left = jax.random.randint(key, (2,), 0, 2 * self.padding + 1)
        return Window(top, left, self.padding, self.mode, self.fill, self.mask_fill)


@dataclass(frozen=True)
class Shift(Geometry):
    """Moves the image by up to `pixels` in each direction; zeros enter at the edges.

    LeCun et al. 1998, section III.C, use such translations among their distortions.

    Attributes:
        pixels: the largest move in each direction.
        mask_fill: the label that enters masks.

    Raises:
        ValueError: `pixels` is no whole number, negative, or too large.
    """

    name = "shift"

    pixels: int
    mask_fill: int = field(default=IGNORED_LABEL, kw_only=True)

    def __post_init__(self) -> None:
        """Raises an error where an argument cannot work."""
        check_pixels("shift", "pixels", self.pixels, 0)

    def draw(self, key: Key[Array, ""], size: tuple[int, int]) -> Motion:
        """Draws the move; see `Geometry`.

        Args:
            key: a random key.
            size: height and width of the example.
        """
        # A move by up to `pixels` is a window of the image with that padding.
        return Crop(self.pixels, mask_fill=self.mask_fill).draw(key, size)


@dataclass(frozen=True)
class ResizedCrop(Geometry):
    """Cuts out a rectangle of a random share of the image, and resizes it.

    Szegedy et al. 2014, section 6; the aspect ratio is drawn evenly on a logarithmic scale. Where
    ten rectangles in a row do not fit, the whole image is resized. Images are resized bilinearly,
    averaging over the footprint where they shrink; masks by the nearest pixel.

    Attributes:
        size: side of the resulting square; None for the image's own height and width.
        area: bounds of the rectangle's share of the area.
        aspect: bounds of its height over its width.

    Raises:
        ValueError: `size` is no whole number, not positive, or too large; or bounds are not two
            rising numbers.
    """

    name = "resized_crop"

    size: int | None = None
    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        """Raises an error where an argument cannot work."""
        freeze_fields(self)
        if self.size is not None:
            check_pixels("resized_crop", "size", self.size, 1)
        check_range("resized_crop", "area", self.area, 0, 1)
        check_range("resized_crop", "aspect", self.aspect, 0, np.inf)

    def draw(self, key: Key[Array, ""], size: tuple[int, int]) -> Motion:
        """Draws the rectangle; see `Geometry`.

        Args:
            key: a random key.
            size: height and width of the example.
        """
        aspect_key, box_key = jax.random.split(key)
        aspects = draw_aspects(aspect_key, self.aspect, logarithmic=True)
        fits, corner, sides = draw_rectangle(box_key, size, self.area, aspects)
        # `fits` is known only when this runs, so that the whole image is chosen without a branch.
        corner = jnp.where(fits, corner, 0)
        sides = jnp.where(fits, sides, jnp.array(size, jnp.int32))
        target = size if self.size is None else (self.size, self.size)
        return ResizedPart(corner, sides, target)


@dataclass(frozen=True)
class Flip(Geometry):
    """Mirrors the image left to right (Krizhevsky et al. 2012, section 4.1).

    Points keep their slots: a left eye's point is then on a right eye.

    Attributes:
        probability: probability that an example is mirrored.

    Raises:
        ValueError: `probability` is not between 0 and 1.
    """

    name = "flip"

    probability: float = 0.5

    def __post_init__(self) -> None:
        """Raises an error where an argument cannot work."""
        check_probability("flip", self.probability)

    def draw(self, key: Key[Array, ""], size: tuple[int, int]) -> Motion:
        """Draws whether the example is mirrored; see `Geometry`.

        Args:
            key: a random key.
            size: height and width of the example.
        """
        # `bernoulli` refuses integers, and a policy may have 0 or 1.
        return Mirror(jax.random.bernoulli(key, float(self.probability)), size[1])


@dataclass(frozen=True)
class Affine(Geometry):
    """Turns, scales and moves the image about its center: bilinearly, masks by the nearest pixel.

    Simard, Steinkraus and Platt 2003, section 2, among their distortions. A turned box becomes the
    bounding box of its turned corners.

    Attributes:
        rotation: largest angle in degrees, in either direction.
        scale: bounds of the enlargement.
        shift: largest move in pixels, in each direction.
        fill: the color that enters from beyond the edges.
        mask_fill: the label that enters masks.

    Raises:
        ValueError: the angle or the move is negative, or `scale` is not two rising numbers.
    """

    name = "affine"

    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    fill: Fill = 0.0
    mask_fill: int = field(default=IGNORED_LABEL, kw_only=True)

    def __post_init__(self) -> None:
        """Raises an error where an argument cannot work."""
        freeze_fields(self)
        for name, value in (("rotation", self.rotation), ("shift", self.shift)):
            if value < 0:
                raise ValueError(f"affine: {name} is {value}; give 0 or more, for either side")
        check_range("affine", "scale", self.scale, 0, np.inf)

    def draw(self, key: Key[Array, ""], size: tuple[int, int]) -> Motion:
        """Draws the angle, the enlargement and the move; see `Geometry`.

        Args:
            key: a random key.
            size: height and width of the example.
        """
        angle_key, scale_key, shift_key = jax.random.split(key, 3)
        turn, (least, most), move = self.rotation, self.scale, self.shift
        angle = jax.random.uniform(angle_key, (), jnp.float32, minval=-turn, maxval=turn) * (
            np.pi / 180
        )
        factor = jax.random.uniform(scale_key, (), jnp.float32, minval=least, maxval=most)
        moves = jax.random.uniform(shift_key, (2,), jnp.float32, minval=-move, maxval=move)
        return Turn(angle, factor, moves, size, self.fill, self.mask_fill)
