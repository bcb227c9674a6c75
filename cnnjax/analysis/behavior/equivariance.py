"""Does shifting the image shift the maps? Translation equivariance, measured."""

from collections.abc import Callable
from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cnnjax.analysis.calls import image_batch
from cnnjax.analysis.looks.activations import activations


def equivariance_error(
    function: Callable[[Array], Array],
    images: Float[ArrayLike, "batch height width channels"],
    shift: tuple[int, int],
    *,
    stride: int = 1,
    margin: int = 0,
) -> float:
    """Returns how far f(shifted image) is from the shifted f(image).

    Args:
        function: maps [batch, height, width, channels] to maps of the same rank.
        images: the input.
        shift: rows and columns by which the image is moved down and to the right; zeros come in.
        stride: input pixels between two places of the output; must divide the shift.
        margin: places at each border of the output that are left out, where the padding or the
            zeros that moved in have an effect.

    Returns:
        The root mean square of the difference, as a share of that of the output; 0 for an
        equivariant function.

    Raises:
        ValueError: the stride is below 1 or does not divide the shift, the output is no stack of
            maps, or the margin is below 0 or leaves nothing.
    """
    if stride < 1 or margin < 0:
        raise ValueError(
            f"equivariance_error: stride {stride} must be at least 1, and margin {margin} at least "
            "0"
        )
    if any(s % stride for s in shift):
        raise ValueError(
            f"equivariance_error: shift {shift} is no multiple of the stride {stride}, so the "
            "output cannot move by whole places; shift by multiples of the stride"
        )
    images = image_batch(images, "equivariance_error")
    maps = function(images)
    if maps.ndim != 4:
        raise ValueError(
            f"equivariance_error: the output has shape {maps.shape}; expected maps [batch, height, "
            "width, channels]"
        )
    before = _shifted(maps, (shift[0] // stride, shift[1] // stride))
    after = function(_shifted(images, shift))
    # Places that zeros moved into are not compared, on whichever side they came in.
    rows = [margin + max(s // stride, 0) for s in shift]
    ends = [n - margin + min(s // stride, 0) for s, n in zip(shift, after.shape[1:3], strict=True)]
    if rows[0] >= ends[0] or rows[1] >= ends[1]:
        raise ValueError(
            f"equivariance_error: margin {margin} and shift {shift} leave nothing of the output "
            f"{after.shape}; give larger images or a smaller margin"
        )
    inner = (slice(None), slice(rows[0], ends[0]), slice(rows[1], ends[1]))
    difference = jnp.sqrt(((after[inner] - before[inner]) ** 2).mean())
    # An output of zeros has no size to divide by.
    return float(difference / jnp.maximum(jnp.sqrt((before[inner] ** 2).mean()), 1e-30))


def layer_equivariance(
    model: linen.Module,
    variables: Any,
    images: Float[ArrayLike, "batch height width channels"],
    layer: str,
    shift: tuple[int, int],
    *,
    stride: int = 1,
    margin: int = 0,
    **apply_arguments: Any,
) -> float:
    """Returns the `equivariance_error` of a model up to one of its layers.

    Args:
        model: any Flax module.
        variables: its variables.
        images: network inputs.
        layer: a module call with maps, as `module_calls` names it; "" is the model itself.
        shift: rows and columns by which the images are moved; as in `equivariance_error`.
        stride: the layer's stride in pixels, as `summarize` counts it.
        margin: places at each border that are left out; as in `equivariance_error`.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Raises:
        KeyError: there is no such layer; the message gives the nearest.
        ValueError: as in `equivariance_error`.
    """

    def function(images: Array) -> Array:
        return activations(model, variables, images, names=[layer], **apply_arguments)[layer]

    return equivariance_error(function, images, shift, stride=stride, margin=margin)


def _shifted(maps: Array, shift: tuple[int, int]) -> Array:
    """Moves maps down and to the right by whole places; zeros come in."""
    for axis, amount in zip((1, 2), shift, strict=True):
        size = maps.shape[axis]
        # `roll` brings in at one side what left at the other; zeros replace it.
        kept = jnp.arange(size) - amount
        shape = [1, 1, 1, 1]
        shape[axis] = size
        inside = ((kept >= 0) & (kept < size)).reshape(shape)
        maps = jnp.where(inside, jnp.roll(maps, amount, axis=axis), jnp.zeros((), maps.dtype))
    return maps
