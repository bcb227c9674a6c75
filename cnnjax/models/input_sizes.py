"""Which image sizes fit a network's dense layers, found from shapes alone."""

import flax.linen as linen
import jax
import jax.numpy as jnp

# Images larger than this are not tried.
_LARGEST = 1024


def square_sizes(
    model: linen.Module, layer: str, inputs: int, channels: int
) -> tuple[int, int] | None:
    """The square images that give a dense layer the number of inputs it was made for.

    Args:
      model: an unbound network.
      layer: name of the dense layer.
      inputs: number of its inputs.
      channels: channels of the images.

    Returns:
      The smallest and the largest size, or None where no square image does.
    """

    def inputs_of(size: int) -> int:
        images = jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)
        try:
            variables = jax.eval_shape(model.init, jax.random.key(0), images)
        except ValueError:  # too small for a layer
            return 0
        return variables["params"][layer]["kernel"].shape[0]

    def first(at_least: int) -> int:
        """The smallest size with that many inputs: the number grows with the size."""
        low, high = 1, _LARGEST
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if inputs_of(middle) >= at_least else (middle + 1, high)
        return low

    smallest = first(inputs)
    if inputs_of(smallest) != inputs:
        return None
    return smallest, first(inputs + 1) - 1
