"""Does the answer stay when the image is moved, turned or scaled? Curves of a trained network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from cnnjax.analysis.calls import evaluation_arguments

Change = Literal["shift", "rotation", "scale"]


@dataclass(frozen=True)
class InvarianceCurve:
    """What a change of the images does to a network's answers.

    Attributes:
      change: "shift", "rotation" or "scale".
      amounts: pixels to the right, degrees counter-clockwise, or the factor of enlargement.
      accuracy: share of right answers for each amount.
      probability: mean probability of the true class for each amount.
    """

    change: str
    amounts: Float[np.ndarray, "amounts"]
    accuracy: Float[np.ndarray, "amounts"]
    probability: Float[np.ndarray, "amounts"]


def transform_images(
    images: Float[ArrayLike, "batch height width channels"],
    change: Change,
    amount: float | Array,
    fill: float = 0.0,
) -> Float[Array, "batch height width channels"]:
    """Moves, turns or scales images about their middle, by bilinear interpolation.

    Args:
      images: the images, floats.
      change: "shift" (pixels to the right), "rotation" (degrees counter-clockwise) or "scale"
        (factor of enlargement).
      amount: how much.
      fill: value of what comes in from outside.

    Returns:
      Images of the same size.

    Raises:
      ValueError: the change is not known.
    """
    images = jnp.asarray(images)
    if change not in ("shift", "rotation", "scale"):
        raise ValueError(
            f"transform_images: change {change!r} is not known; there are 'shift', 'rotation' and "
            "'scale'"
        )
    height, width = images.shape[1:3]
    amount = jnp.asarray(amount, images.dtype)
    rows = jnp.arange(height, dtype=images.dtype)[:, None] - (height - 1) / 2
    columns = jnp.arange(width, dtype=images.dtype)[None] - (width - 1) / 2
    # Where each pixel of the result comes from.
    if change == "shift":
        source_rows, source_columns = rows + 0 * columns, columns - amount + 0 * rows
    elif change == "scale":
        source_rows, source_columns = rows / amount + 0 * columns, columns / amount + 0 * rows
    else:
        angle = amount * (math.pi / 180)
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        source_rows = cosine * rows + sine * columns
        source_columns = cosine * columns - sine * rows
    places = [source_rows + (height - 1) / 2, source_columns + (width - 1) / 2]

    def resample(plane: Array) -> Array:
        return jax.scipy.ndimage.map_coordinates(plane, places, order=1, cval=fill)

    return jax.vmap(jax.vmap(resample, in_axes=-1, out_axes=-1))(images)


def invariance_curve(
    model: nn.Module,
    variables: Any,
    images: Float[ArrayLike, "batch height width channels"],
    labels: Int[ArrayLike, "batch"],
    change: Change,
    amounts: Sequence[float],
    *,
    fill: float = 0.0,
    **apply_arguments: Any,
) -> InvarianceCurve:
    """The accuracy of a network on images changed by each amount.

    Args:
      model: any Flax module that returns logits [batch, classes].
      variables: its variables.
      images: network inputs.
      labels: their classes.
      change, fill: as in `transform_images`; `fill` on the scale of the network's input.
      amounts: the amounts to try.
      **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
      The curve.
    """
    arguments = evaluation_arguments(model, apply_arguments)
    labels = jnp.asarray(labels)

    @jax.jit
    def measure(amount: Array) -> tuple[Array, Array]:
        changed = transform_images(images, change, amount, fill)
        logits: Any = model.apply(variables, changed, **arguments)
        own = jnp.take_along_axis(jax.nn.softmax(logits), labels[:, None], axis=1)
        return (logits.argmax(axis=1) == labels).mean(), own.mean()

    measured = [measure(jnp.asarray(amount, jnp.float32)) for amount in amounts]
    accuracy, probability = np.array(jax.device_get(measured), np.float32).reshape(-1, 2).T
    return InvarianceCurve(change, np.asarray(amounts, np.float32), accuracy, probability)
