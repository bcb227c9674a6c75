"""Augmentations that cover a part of the image; masks, boxes and points stay as they are."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from cnnjax.data.augment.checks import check_pixels, check_probability, check_range
from cnnjax.data.augment.fill import Fill, Image, filled
from cnnjax.data.augment.rectangles import draw_aspects, draw_rectangle, inside
from cnnjax.data.augment.transform import Erase


@dataclass(frozen=True)
class Cutout(Erase):
    """Covers a square centered on any pixel; it may reach beyond the edges.

    DeVries and Taylor 2017, section 3.2. They fill with zeros after the mean was subtracted, that
    is, with the mean pixel.

    Attributes:
        size: side of the square, in pixels.
        fill: color of the square.

    Raises:
        ValueError: `size` is no whole number, not positive, or too large.
    """

    name = "cutout"

    size: int
    fill: Fill = 0.0

    def __post_init__(self) -> None:
        """Raises an error where an argument cannot work."""
        super().__post_init__()
        check_pixels("cutout", "size", self.size, 1)

    def change(self, key: Key[Array, ""], image: Image) -> Image:
        """Covers a square; see `PixelChange`.

        Args:
            key: a random key.
            image: pixels from 0 to 1.
        """
        height, width, _ = image.shape
        limits = jnp.asarray((height, width), jnp.int32)
        # Any pixel is equally probable, so that squares at the edges are smaller.
        center = jax.random.randint(key, (2,), jnp.zeros(2, jnp.int32), limits)
        sides = jnp.full(2, self.size, jnp.int32)
        covered = inside((height, width), center - self.size // 2, sides)
        return jnp.where(covered, filled(self.fill, image), image)


@dataclass(frozen=True)
class RandomErasing(Erase):
    """Fills a rectangle anywhere within the image with uniform noise from 0 to 1.

    Zhong et al. 2017, algorithm 1 and section 4. Where ten rectangles in a row do not fit, the
    image stays as it is.

    Attributes:
        probability: probability that an example is changed.
        area: bounds of the rectangle's share of the area.
        aspect: bounds of its height over its width, drawn evenly between them.

    Raises:
        ValueError: `probability` is not between 0 and 1, or bounds are not two rising numbers.
    """

    name = "random_erasing"

    probability: float = 0.5
    area: tuple[float, float] = (0.02, 0.4)
    aspect: tuple[float, float] = (0.3, 1 / 0.3)

    def __post_init__(self) -> None:
        """Raises an error where an argument cannot work."""
        super().__post_init__()
        check_probability("random_erasing", self.probability)
        check_range("random_erasing", "area", self.area, 0, 1)
        check_range("random_erasing", "aspect", self.aspect, 0, np.inf)

    def change(self, key: Key[Array, ""], image: Image) -> Image:
        """Fills a rectangle of some images with noise; see `PixelChange`.

        Args:
            key: a random key.
            image: pixels from 0 to 1.
        """
        chance_key, aspect_key, box_key, noise_key = jax.random.split(key, 4)
        aspects = draw_aspects(aspect_key, self.aspect, logarithmic=False)
        height, width, _ = image.shape
        fits, corner, sides = draw_rectangle(box_key, (height, width), self.area, aspects)
        # `bernoulli` refuses integers, and a policy may have 0 or 1.
        erased = fits & jax.random.bernoulli(chance_key, float(self.probability))
        # Drawn also where nothing is erased: under `vmap` there are no branches.
        noise = jax.random.uniform(noise_key, image.shape, image.dtype)
        return jnp.where(erased & inside((height, width), corner, sides), noise, image)
