"""Augmentations that move pixels: crops, mirror images, rotations."""

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


def shift(pixels: int) -> Augmentation:
    """Moves the image by up to `pixels` in each direction, zeros entering at the edges.

    LeCun et al. 1998, section III.C, trains with such translations among its distortions.

    Raises:
        ValueError: `pixels` is negative.
    """
    if pixels < 0:
        raise ValueError(f"shift: pixels is {pixels}; give 0 or more")
    return crop(pixels)


def crop(padding: int, mode: str = "fill", fill: Fill = 0.0) -> Augmentation:
    """Pads the image on each side, then cuts a part of its own size out anywhere.

    He et al. 2015, section 4.2, with a padding of 4 (of zeros after the mean was subtracted: their
    `fill` is the mean pixel). Zagoruyko and Komodakis 2016, section 3, reflect.

    Args:
        padding: pixels on each side.
        mode: what the padding holds: "fill" for one colour, "reflect" for the image's reflection at
            the centre of its outermost pixels.
        fill: that colour.

    Raises:
        ValueError: `padding` is negative, or the mode is unknown.
    """
    if padding < 0:
        raise ValueError(f"crop: padding is {padding}; give 0 or more")
    if mode not in ("fill", "reflect"):
        raise ValueError(f"crop: mode is {mode!r}; give 'fill' or 'reflect'")
    margins = ((padding, padding), (padding, padding), (0, 0))

    def apply(key: Key[Array, ""], image: Image) -> Image:
        top, left = jax.random.randint(key, (2,), 0, 2 * padding + 1)
        if mode == "reflect":
            padded = jnp.pad(image, margins, mode="reflect")
        else:
            height, width, channels = image.shape
            large = (height + 2 * padding, width + 2 * padding, channels)
            canvas = filled(fill, jnp.empty(large, image.dtype))
            padded = jax.lax.dynamic_update_slice(canvas, image, (padding, padding, 0))
        return jax.lax.dynamic_slice(padded, (top, left, 0), image.shape)

    return apply


def resized_crop(
    size: int | None = None,
    area: tuple[float, float] = (0.08, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> Augmentation:
    """Cuts a rectangle of a random share of the image out, and resizes it.

    Szegedy et al. 2014, section 6; the aspect ratio is drawn evenly on a logarithmic scale. Where
    ten rectangles in a row do not fit, the whole image is resized. Bilinear, averaging over the
    footprint where it shrinks.

    Args:
        size: side of the square that comes out; None for the image's own height and width.
        area: bounds of the rectangle's share of the area.
        aspect: bounds of its height over its width.

    Raises:
        ValueError: `size` is not positive, or bounds are not such.
    """
    if size is not None and size < 1:
        raise ValueError(f"resized_crop: size is {size}; give 1 or more")
    check_range("resized_crop", "area", area, 0, 1)
    check_range("resized_crop", "aspect", aspect, 0, np.inf)

    def apply(key: Key[Array, ""], image: Image) -> Image:
        height, width, channels = image.shape
        aspect_key, box_key = jax.random.split(key)
        aspects = draw_aspects(aspect_key, aspect, logarithmic=True)
        fits, corner, sides = draw_box(box_key, (height, width), area, aspects)
        corner = jnp.where(fits, corner, 0)
        sides = jnp.where(fits, sides, jnp.array([height, width], jnp.int32))
        target = (height, width) if size is None else (size, size)
        scale = jnp.asarray(target, jnp.float32) / sides.astype(jnp.float32)
        box = inside(image, corner, sides).astype(image.dtype)
        # Pixels beside the box would weigh in at its edges: their share is taken out again.
        resized = jax.image.scale_and_translate(
            jnp.concatenate([image * box, box], axis=-1),
            (*target, channels + 1),
            (0, 1),
            scale,
            -corner.astype(jnp.float32) * scale,
            method="linear",
        )
        return resized[..., :-1] / resized[..., -1:]

    return apply


def flip(probability: float = 0.5) -> Augmentation:
    """Mirrors the image left to right (Krizhevsky et al. 2012, section 4.1).

    Raises:
        ValueError: `probability` is none.
    """
    check_probability("flip", probability)

    def apply(key: Key[Array, ""], image: Image) -> Image:
        return jnp.where(jax.random.bernoulli(key, float(probability)), image[:, ::-1], image)

    return apply


def affine(
    rotation: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    shift: float = 0.0,
    fill: Fill = 0.0,
) -> Augmentation:
    """Turns, scales and moves the image about its centre, bilinearly.

    Simard, Steinkraus and Platt 2003, section 2, among their distortions.

    Args:
        rotation: largest angle in degrees, to either side.
        scale: bounds of the enlargement.
        shift: largest move in pixels, in each direction.
        fill: the colour that enters from beyond the edges.

    Raises:
        ValueError: the angle or the move is negative, or bounds are not such.
    """
    for name, value in (("rotation", rotation), ("shift", shift)):
        if value < 0:
            raise ValueError(f"affine: {name} is {value}; give 0 or more, for either side")
    check_range("affine", "scale", scale, 0, np.inf)

    def apply(key: Key[Array, ""], image: Image) -> Image:
        angle_key, scale_key, shift_key = jax.random.split(key, 3)
        angle = jax.random.uniform(angle_key, minval=-rotation, maxval=rotation) * (np.pi / 180)
        factor = jax.random.uniform(scale_key, minval=scale[0], maxval=scale[1])
        moves = jax.random.uniform(shift_key, (2,), minval=-shift, maxval=shift)
        return warp(image, angle, factor, moves, fill)

    return apply


def warp(
    image: Image, angle: Array | float, factor: Array | float, moves: Array, fill: Fill = 0.0
) -> Image:
    """Turns an image by an angle (radians, counter-clockwise), enlarges it, and moves it.

    Args:
        image: the image.
        angle: by how much it is turned.
        factor: by how much it is enlarged.
        moves: pixels by which it is moved downwards and to the right, after that.
        fill: the colour beyond its edges.
    """
    height, width, _ = image.shape
    middle = ((height - 1) / 2, (width - 1) / 2)
    rows = (jnp.arange(height, dtype=jnp.float32) - middle[0]).reshape(-1, 1) - moves[0]
    columns = (jnp.arange(width, dtype=jnp.float32) - middle[1]).reshape(1, -1) - moves[1]
    # Where each pixel of the result comes from: the map's inverse. Rows count downwards.
    cosine, sine = jnp.cos(angle) / factor, jnp.sin(angle) / factor
    sources = [
        cosine * rows + sine * columns + middle[0],
        cosine * columns - sine * rows + middle[1],
    ]
    background = filled(fill, image)

    def sample(channel: Array) -> Array:
        return jax.scipy.ndimage.map_coordinates(channel, sources, order=1, mode="constant")

    # Taken off, so that what enters is zero.
    sampled = jax.vmap(sample, in_axes=2, out_axes=2)(image - background)
    return sampled + background
