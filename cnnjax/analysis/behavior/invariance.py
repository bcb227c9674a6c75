"""Does the prediction change when the image is moved, turned or scaled? Curves of a network."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from cnnjax import compiler
from cnnjax.analysis.batches import in_batches
from cnnjax.analysis.calls import evaluation_arguments, image_batch

Change = Literal["shift", "rotation", "scale"]


@dataclass(frozen=True)
class InvarianceCurve:
    """What a change of the images does to a network's predictions.

    Attributes:
        change: "shift", "rotation" or "scale".
        amounts: pixels to the right, degrees counter-clockwise, or the factor of enlargement.
        accuracy: share of correct predictions for each amount.
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
        amount: how much; above 0 for "scale".
        fill: value of what comes in from outside.

    Returns:
        Images of the same size.

    Raises:
        ValueError: the change is not known, or the factor of enlargement is not above 0.
    """
    images = image_batch(images, "transform_images")
    return _resampled(images, _sources(change, jnp.asarray(amount, images.dtype)), fill)


def _sources(change: Change, amount: Array) -> Float[Array, "2 3"]:
    """Where each pixel comes from: rows (row, column) of weights of the row, the column and 1."""
    zero, one = jnp.zeros_like(amount), jnp.ones_like(amount)
    if change == "shift":
        weights = [[one, zero, zero], [zero, one, -amount]]
    elif change == "scale":
        if not isinstance(amount, Tracer) and not amount > 0:
            raise ValueError(
                f"transform_images: factor of enlargement {float(amount):g}; give one above 0"
            )
        weights = [[1 / amount, zero, zero], [zero, 1 / amount, zero]]
    elif change == "rotation":
        angle = amount * (math.pi / 180)
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        # The inverse of the turn, since each pixel looks up the place that it comes from.
        weights = [[cosine, sine, zero], [-sine, cosine, zero]]
    else:
        raise ValueError(
            f"transform_images: change {change!r} is not known; there are 'shift', 'rotation' and "
            "'scale'"
        )
    return jnp.array(weights)


def _resampled(
    images: Float[Array, "batch height width channels"],
    sources: Float[Array, "2 3"],
    fill: float,
) -> Float[Array, "batch height width channels"]:
    """Takes each pixel from its source, both counted from the middle of the image."""
    height, width = images.shape[1:3]
    rows = jnp.arange(height, dtype=images.dtype)[:, None] - (height - 1) / 2
    columns = jnp.arange(width, dtype=images.dtype)[None] - (width - 1) / 2
    places = [
        weights[0] * rows + weights[1] * columns + weights[2] + (size - 1) / 2
        for weights, size in zip(sources, (height, width), strict=True)
    ]

    def resample(plane: Array) -> Array:
        return jax.scipy.ndimage.map_coordinates(plane, places, order=1, cval=fill)

    return jax.vmap(jax.vmap(resample, in_axes=-1, out_axes=-1))(images)


def invariance_curves(
    model: linen.Module,
    variables: Any,
    images: Float[ArrayLike, "batch height width channels"],
    labels: Int[ArrayLike, "batch"],
    changes: Mapping[Change, Sequence[float]],
    *,
    fill: float = 0.0,
    **apply_arguments: Any,
) -> list[InvarianceCurve]:
    """Measures the accuracy of a network on images changed by each amount; it is compiled once.

    Args:
        model: any Flax module that returns logits [batch, classes].
        variables: its variables.
        images: network inputs.
        labels: their classes.
        changes: the amounts to try of each change; see `transform_images`.
        fill: value of what comes in from outside, on the scale of the network's input.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        A curve for each change.

    Raises:
        ValueError: a change is not known, or a factor of enlargement is not above 0.
    """
    arguments = evaluation_arguments(model, apply_arguments)
    images = image_batch(images, "invariance_curves")

    # The change is an argument, so that all amounts share one program.
    @compiler.jit
    def measure(variables: Any, sources: Array, images: Array, labels: Array) -> Array:
        logits: Any = model.apply(variables, _resampled(images, sources, fill), **arguments)
        own = jnp.take_along_axis(jax.nn.softmax(logits), labels[:, None], axis=1)[:, 0]
        right = logits.argmax(axis=1) == labels
        return jnp.stack([right.astype(jnp.float32), own.astype(jnp.float32)], axis=1)

    def mean(sources: Array) -> np.ndarray:
        return in_batches(lambda x, y: measure(variables, sources, x, y), images, labels).mean(0)

    curves = []
    for change, amounts in changes.items():
        given = np.asarray(amounts, np.float32)
        measured = np.array([mean(_sources(change, jnp.asarray(amount))) for amount in given])
        accuracy, probability = measured.reshape(-1, 2).T
        curves.append(InvarianceCurve(change, given, accuracy, probability))
    return curves


def invariance_curve(
    model: linen.Module,
    variables: Any,
    images: Float[ArrayLike, "batch height width channels"],
    labels: Int[ArrayLike, "batch"],
    change: Change,
    amounts: Sequence[float],
    *,
    fill: float = 0.0,
    **apply_arguments: Any,
) -> InvarianceCurve:
    """Measures one of `invariance_curves`.

    Args:
        model: any Flax module that returns logits [batch, classes].
        variables: its variables.
        images: network inputs.
        labels: their classes.
        change: "shift", "rotation" or "scale".
        amounts: the amounts to try.
        fill: value of what comes in from outside, on the scale of the network's input.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The curve.

    Raises:
        ValueError: the change is not known, or a factor of enlargement is not above 0.
    """
    (curve,) = invariance_curves(
        model, variables, images, labels, {change: amounts}, fill=fill, **apply_arguments
    )
    return curve
