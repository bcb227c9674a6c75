"""Maps flattened for a dense layer, which slides over larger maps in dense evaluation."""

import math

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import ops
from cnnjax.models.net.input_sizes import square_sizes

SLIDING = "sliding"
"""While this collection is mutable, dense layers on flattened maps slide over larger ones."""

Logits = Float[Array, "rows classes"]
"""Logits of a network that flattens its maps: a row for each image.

While `SLIDING` is mutable there are more rows, one for each position on each image.
"""


def flat(
    module: linen.Module,
    layer: str,
    x: Float[Array, "batch height width channels"],
    remedy: str | None = None,
) -> Float[Array, "rows values"]:
    """Returns the values of each image in one row (height, width, channels), for a dense layer.

    Args:
        module: the bound module that the dense layer belongs to.
        layer: name of the dense layer that follows.
        x: feature maps.
        remedy: what to do about images of another size, for the message; None to name the sizes
            that work.

    Returns:
        An array of shape [batch, height * width * channels]; while the collection `SLIDING` is
        mutable, one row for each place of the layer's window on larger maps, image by image.

    Raises:
        ValueError: the layer's weights were made for maps of another size.
    """
    # During initialization the layer has no kernel yet, and every size is right.
    values = x.reshape(x.shape[0], -1)
    if not module.has_variable("params", layer):
        return values
    inputs = module.variables["params"][layer]["kernel"].shape[0]
    if inputs == values.shape[1]:
        return values
    # The layer's window on the maps; only square ones can be found from a number of inputs.
    side = math.isqrt(inputs // x.shape[-1])
    slides = module.is_mutable_collection(SLIDING) and not module.is_initializing()
    if slides and side * side * x.shape[-1] == inputs and side <= min(x.shape[1:3]):
        # Its shape is the number of places in rows and columns, for `score_map`.
        places = (x.shape[1] - side + 1, x.shape[2] - side + 1)
        module.put_variable(SLIDING, layer, jnp.zeros(places))
        return ops.im2col(x, side, padding="VALID").reshape(-1, inputs)
    if remedy is None:
        # Any number of image channels gives the same sizes: groups start after the first layer.
        sizes = square_sizes(module.clone(parent=None, name=None), layer, inputs, channels=3)
        remedy = "no square images give that many"
        if sizes is not None:
            low, high = sizes
            remedy = f"square images from {low}x{low} to {high}x{high} work"
    given = "x".join(map(str, x.shape[1:]))
    raise ValueError(
        f"{'/'.join((*module.path, layer))}: its weights are for {inputs} values an image, but "
        f"these images give {values.shape[1]} ({given}); {remedy}"
    )
