"""The effective receptive field: how strongly each pixel changes the unit in the middle."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cnnjax import compiler
from cnnjax.analysis.calls import image_batch
from cnnjax.analysis.looks.activations import activations


def effective_receptive_field(
    model: linen.Module,
    variables: Any,
    images: Float[ArrayLike, "batch height width channels"],
    layer: str,
    **apply_arguments: Any,
) -> Float[Array, "height width"]:
    """Returns the mean size of the gradient of a layer's middle unit by each pixel.

    Args:
        model: any Flax module.
        variables: its variables.
        images: images over which the mean is taken, float.
        layer: a module call with maps [batch, height, width, channels], as `module_calls` names it.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        Absolute gradients of the unit, summed over its channels, averaged over the images and
        summed over the image's channels; the largest is 1 (all are 0 where the unit is dead).

    Raises:
        KeyError: there is no such layer; the message gives the nearest.
        ValueError: the layer's output is not a stack of maps.

    Source: Luo, Li, Urtasun and Zemel, 2016, section 3.
    """

    def middle(images: Array, variables: Any) -> Array:
        maps = activations(model, variables, images, names=[layer], **apply_arguments)[layer]
        if maps.ndim != 4:
            raise ValueError(
                f"effective_receptive_field: {layer!r} returns {maps.shape}; choose a layer with "
                "maps [batch, height, width, channels]"
            )
        # The sum over images is enough, because a unit depends on its own image alone.
        return maps[:, maps.shape[1] // 2, maps.shape[2] // 2].sum()

    images = image_batch(images, "effective_receptive_field")
    gradients = compiler.jit(jax.grad(middle))(images, variables)
    gradient = jnp.abs(gradients).mean(axis=0).sum(axis=-1)
    largest = gradient.max()
    # The gradients of a dead unit are 0, and stay 0.
    return gradient / jnp.where(largest > 0, largest, 1)


def effective_size(field: Float[ArrayLike, "height width"]) -> float:
    """Returns the side of a square with as many pixels as change the unit noticeably.

    A change is noticeable above 1 - 0.9545 of the largest, as in Luo et al., 2016, section 3.2.

    Args:
        field: of `effective_receptive_field`.

    Returns:
        The side in pixels.
    """
    return float(np.sqrt((np.asarray(field) > 1 - 0.9545).sum()))
