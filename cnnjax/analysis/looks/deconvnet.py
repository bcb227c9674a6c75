"""The deconvolutional network: a feature projected back to the pixels that it comes from."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cnnjax import compiler
from cnnjax.analysis.behavior.rectifiers import run_with_rectifiers
from cnnjax.analysis.calls import image_batch


def deconvnet(
    model: linen.Module,
    variables: Any,
    images: Float[ArrayLike, "batch height width channels"],
    layer: str,
    channel: int | Array,
    **apply_arguments: Any,
) -> Float[Array, "batch height width channels"]:
    """Projects each image's strongest activation of one map back to the image.

    The way back is the backward pass (max-unpooling through the switches, transposed filters) with
    one change: at each ReLU the signal itself is rectified, instead of being let through where the
    forward input was positive.

    Args:
        model: any Flax module whose nonlinearity is max(x, 0).
        variables: its variables.
        images: network inputs, floats.
        layer: a module call with maps [batch, height, width, channels], as `module_calls` names it.
        channel: the map; an array, such as `jax.jit` passes, is not checked.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The projections, one for each image.

    Raises:
        KeyError: there is no such layer; the message gives the nearest.
        ValueError: the layer's output is not a stack of maps, or has no such channel.

    Source: Zeiler and Fergus, 2014, section 2.1.
    """

    def maps(variables: Any, images: Array) -> Array:
        return run_with_rectifiers(
            model, variables, images, lambda _, x: _rectified(x), layer=layer, **apply_arguments
        )

    images = image_batch(images, "deconvnet")
    shape = jax.eval_shape(maps, variables, images).shape
    known = isinstance(channel, int)
    if len(shape) != 4 or (known and not 0 <= channel < shape[-1]):
        raise ValueError(
            f"deconvnet: {layer!r} returns {shape}, which has no map {channel}; choose a layer "
            "with maps [batch, height, width, channels] and one of its channels"
        )

    def strongest(images: Array, variables: Any, channel: Array) -> Array:
        chosen = jnp.take(maps(variables, images), channel, axis=-1)
        return chosen.max(axis=(1, 2)).sum()

    # The map is an argument, so that an outer `jax.jit` may trace it.
    return compiler.jit(jax.grad(strongest))(images, variables, jnp.asarray(channel))


@jax.custom_vjp
def _rectified(x: Array) -> Array:
    """Returns max(x, 0), whose backward rule rectifies the signal."""
    return jnp.maximum(x, 0)


_rectified.defvjp(lambda x: (_rectified(x), None), lambda _, signal: (jnp.maximum(signal, 0),))
