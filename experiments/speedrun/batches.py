"""The images of each step, and how they are moved and mirrored: all on the device."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key, UInt8

from cnnjax import ops


class Batches(NamedTuple):
    """The batches of a whole run; without the leading axis [steps], one batch.

    Attributes:
        positions: each image's position in the training split.
        shifts: rows and columns at which each image is cut out of the padded one.
        mirrored: which images are mirrored left to right.
        brightness: what is added to each normalized image; None for nothing.
        contrast: what each normalized image is multiplied by after that; None for nothing.
    """

    positions: Int[Array, "*steps batch"]
    shifts: Int[Array, "*steps batch 2"]
    mirrored: Bool[Array, "*steps batch"]
    brightness: Float[Array, "*steps batch"] | None = None
    contrast: Float[Array, "*steps batch"] | None = None


def draw_batches(
    key: Key[Array, ""],
    examples: int,
    batch_size: int,
    total_steps: int,
    translate: int,
    brightness: float = 0.0,
    contrast: float = 0.0,
) -> Batches:
    """Draws a run's batches: every epoch in another order; an incomplete batch is dropped.

    An image is mirrored in the first epoch by chance, and from then on in every other epoch
    ("alternating flip"), so that both orientations are seen equally often.

    Args:
        key: the run's random key.
        examples: number of training images.
        batch_size: images a step.
        total_steps: steps of the run; the last epoch may be cut short.
        translate: pixels by which images are moved at most.
        brightness: largest number that is added to an image.
        contrast: largest share by which an image is multiplied up or down.

    Returns:
        The batches of all steps.

    Source: arXiv 2404.00498, section 3.6.
    """
    flip_key, order_key, shift_key = jax.random.split(key, 3)
    epoch_steps = examples // batch_size
    first_mirrored = jax.random.bernoulli(flip_key, 0.5, (examples,))

    def epoch(number: Array) -> Batches:
        order = jax.random.permutation(jax.random.fold_in(order_key, number), examples)
        # `dynamic_slice` takes indices of one dtype.
        positions = order[: epoch_steps * batch_size].astype(jnp.int32)
        shifts = jax.random.randint(
            jax.random.fold_in(shift_key, number), (len(positions), 2), 0, 2 * translate + 1
        )
        mirrored = first_mirrored[positions] ^ (number % 2 == 1)
        return Batches(positions, shifts, mirrored)

    epochs = lax.map(epoch, jnp.arange(math.ceil(total_steps / epoch_steps)))

    def by_step(values: Array) -> Array:
        return values.reshape(-1, batch_size, *values.shape[2:])[:total_steps]

    batches = jax.tree.map(by_step, epochs)
    if not brightness and not contrast:
        return batches
    added, multiplied = (
        jax.random.uniform(jax.random.fold_in(key, number), (total_steps, batch_size)) * 2 - 1
        for number in (3, 4)
    )
    return batches._replace(brightness=added * brightness, contrast=multiplied * contrast + 1)


def pad_by_reflection(
    images: UInt8[Array, "examples height width channels"], margin: int
) -> UInt8[Array, "examples padded_height padded_width channels"]:
    """Returns the images with mirrored pixels on each side.

    Args:
        images: uint8, NHWC.
        margin: pixels on each side.
    """
    return ops.pad_images(images, ((margin, margin), (margin, margin)), "reflect")


def take_batch(
    padded: UInt8[Array, "examples padded_height padded_width channels"],
    batch: Batches,
    translate: int,
) -> UInt8[Array, "batch height width channels"]:
    """Returns a batch's images, moved and mirrored, by one gather.

    Args:
        padded: the training images with `translate` more pixels on each side.
        batch: one batch.
        translate: pixels by which images are moved at most.
    """
    _, height, width, channels = padded.shape
    size = (1, height - 2 * translate, width - 2 * translate, channels)

    def cut(position: Array, shift: Array) -> Array:
        return lax.dynamic_slice(padded, (position, shift[0], shift[1], jnp.int32(0)), size)[0]

    images = jax.vmap(cut)(batch.positions, batch.shifts)
    return jnp.where(batch.mirrored[:, None, None, None], images[:, :, ::-1], images)


def vary_colors(
    images: Float[Array, "batch height width channels"], batch: Batches
) -> Float[Array, "batch height width channels"]:
    """Returns normalized images with the batch's brightness added, times its contrast.

    Args:
        images: the images of the batch.
        batch: one batch.
    """
    if batch.brightness is None or batch.contrast is None:
        return images
    added, multiplied = (a[:, None, None, None] for a in (batch.brightness, batch.contrast))
    return (images + added) * multiplied
