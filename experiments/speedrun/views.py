"""Test-time augmentation: six views of each test image."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, UInt8

from cnnjax import ops

Images = Float[Array, "batch height width channels"]
Logits = Float[Array, "batch classes"]

STARTS = (1, 0, 2)
"""Where a view starts in the image padded by one pixel, along both axes; the first is the image
itself."""


def view_logits(
    network: Callable[[Images], Logits], images: Images, center_weight: float = 0.5
) -> tuple[Logits, Logits]:
    """Returns the logits of the images as they are, and the weighted mean over six views.

    The views are the image, the image moved by one pixel up and left, and by one down and right
    (edges are reflected), each of them and its mirror image.

    Args:
        network: from normalized images to logits.
        images: normalized test images.
        center_weight: weight of the image itself and its mirror image; the others share the rest.

    Source: arXiv 2404.00498, section 3.5.
    """
    batch, height, width, channels = images.shape
    padded = ops.pad_images(images, ((1, 1), (1, 1)), "reflect")
    moved = [padded[:, at : at + height, at : at + width] for at in STARTS]
    views = jnp.stack([*moved, *(view[:, :, ::-1] for view in moved)])
    logits = network(views.reshape(-1, height, width, channels)).reshape(2 * len(STARTS), batch, -1)
    other = (1 - center_weight) / 2
    weights = jnp.asarray([center_weight / 2, other / 2, other / 2] * 2, logits.dtype)
    return logits[0], (weights[:, None, None] * logits).sum(axis=0)


def unsure_view_logits(
    network: Callable[[Images], Logits], images: Images, share: float, center_weight: float = 0.5
) -> tuple[Logits, Logits]:
    """Returns the same logits as `view_logits`, but of sure images the first ones in both cases.

    Only the images whose most probable class is least probable are predicted from six views.

    Args:
        network: from normalized images to logits.
        images: normalized test images.
        share: of the images that are predicted from six views.
        center_weight: see `view_logits`.

    Source: github.com/hiverge/cifar10-speedrun, which chooses among all test images at once.
    """
    plain = network(images)
    most_probable = jnp.max(jax.nn.log_softmax(plain), axis=-1)
    _, unsure = lax.top_k(-most_probable, max(1, round(share * len(images))))
    _, mean = view_logits(network, images[unsure], center_weight)
    return plain, plain.at[unsure].set(mean)


class TestChunks(NamedTuple):
    """Test images in parts that are evaluated at once; the filling of the last one has label -1."""

    # pytest would collect the class for its name.
    __test__ = False

    images: UInt8[Array, "chunks size height width channels"]
    labels: Int[Array, "chunks size"]


def cut_into_chunks(images: np.ndarray, labels: np.ndarray, size: int = 2000) -> TestChunks:
    """Returns the test images in chunks of one size, the last one filled up.

    Args:
        images: the test images.
        labels: their labels.
        size: images of a chunk at most.
    """
    size = min(size, len(images))
    missing = -len(images) % size
    # Any images will do for the filling: their label of -1 is never right.
    images = np.concatenate([images, np.repeat(images[:1], missing, axis=0)])
    labels = np.concatenate([labels, np.full(missing, -1, labels.dtype)])
    return TestChunks(
        jnp.asarray(images.reshape(-1, size, *images.shape[1:])),
        jnp.asarray(labels.reshape(-1, size)),
    )


def count_right(logits: Logits, labels: Int[Array, " batch"]) -> Int[Array, ""]:
    """Returns how many images have their label's logit as the largest.

    Args:
        logits: of each image.
        labels: of each image; -1 is never right.
    """
    return jnp.sum(jnp.argmax(logits, axis=-1) == labels, dtype=jnp.int32)
