"""Augmentations that cover a part of the image."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from cnnjax.data.augment.shared import (
    Augmentation,
    Fill,
    Image,
    check_probability,
    check_range,
    draw_aspects,
    draw_box,
    filled,
    inside,
)


def cutout(size: int, fill: Fill = 0.0) -> Augmentation:
    """Covers a square centred on any pixel; it may reach beyond the edges.

    DeVries and Taylor 2017, section 3.2; their zeros are filled in after the mean was subtracted:
    the mean pixel.

    Args:
        size: side of the square, in pixels.
        fill: its colour.

    Raises:
        ValueError: `size` is not positive.
    """
    if size < 1:
        raise ValueError(f"cutout: size is {size}; give 1 or more")

    def apply(key: Key[Array, ""], image: Image) -> Image:
        limits = jnp.asarray(image.shape[:2], jnp.int32)
        center = jax.random.randint(key, (2,), jnp.zeros(2, jnp.int32), limits)
        covered = inside(image, center - size // 2, jnp.full(2, size, jnp.int32))
        return jnp.where(covered, filled(fill, image), image)

    return apply


def random_erasing(
    probability: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
    aspect: tuple[float, float] = (0.3, 1 / 0.3),
) -> Augmentation:
    """Fills a rectangle anywhere within the image with noise, even from 0 to 1.

    Zhong et al. 2017, algorithm 1 and section 4; where ten rectangles in a row do not fit, the
    image stays.

    Args:
        probability: of an image to be changed.
        area: bounds of the rectangle's share of the area.
        aspect: bounds of its height over its width, drawn evenly between them.

    Raises:
        ValueError: `probability` or bounds are none.
    """
    check_probability("random_erasing", probability)
    check_range("random_erasing", "area", area, 0, 1)
    check_range("random_erasing", "aspect", aspect, 0, np.inf)

    def apply(key: Key[Array, ""], image: Image) -> Image:
        chance_key, aspect_key, box_key, noise_key = jax.random.split(key, 4)
        aspects = draw_aspects(aspect_key, aspect, logarithmic=False)
        height, width, _ = image.shape
        fits, corner, sides = draw_box(box_key, (height, width), area, aspects)
        erased = fits & jax.random.bernoulli(chance_key, float(probability))
        noise = jax.random.uniform(noise_key, image.shape, image.dtype)
        return jnp.where(erased & inside(image, corner, sides), noise, image)

    return apply
