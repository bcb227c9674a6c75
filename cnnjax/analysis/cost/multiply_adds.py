"""Multiply-adds of a network, counted from the shapes of its layers without running it."""

import math
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import nn
from cnnjax.analysis.calls import evaluation_arguments

# The layers that multiply by a kernel at every output position.
_LAYERS = (linen.Conv, linen.ConvTranspose, linen.ConvLocal, linen.Dense, linen.DenseGeneral)
_LAYERS += (linen.Einsum, nn.DepthwiseConv, nn.SparseConv)


def multiply_adds(
    model: linen.Module,
    input_shape: tuple[int, ...],
    *,
    variables: Any = None,
    **apply_arguments: Any,
) -> int:
    """Counts the multiply-adds of convolutions and dense layers in one forward pass.

    Products with padding count, as in the published tables; biases, pools and normalization do
    not. Products outside of layers (attention's, for example) are not counted.

    Args:
        model: any Flax module; auxiliary heads that its evaluation does not compute are left out.
        input_shape: (height, width, channels) of one image, or a whole batch's shape.
        variables: the model's variables, or their shapes; None to trace an initialization for them.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The number of multiply-adds, for the batch if `input_shape` has one.

    Raises:
        ValueError: the images are too small for a layer, which the message names.
        TypeError: `__call__` needs arguments that were not given.
    """
    layers = multiply_adds_by_layer(model, input_shape, variables=variables, **apply_arguments)
    return sum(layers.values())


def multiply_adds_by_layer(
    model: linen.Module,
    input_shape: tuple[int, ...],
    *,
    variables: Any = None,
    **apply_arguments: Any,
) -> dict[str, int]:
    """Counts as `multiply_adds` does, layer by layer; a layer called twice counts twice.

    Args:
        model: any Flax module.
        input_shape: (height, width, channels) of one image, or a whole batch's shape.
        variables: the model's variables, or their shapes; None to trace an initialization for them.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The layer's path to its multiply-adds, in the order of the first calls.

    Raises:
        ValueError: the images are too small for a layer, which the message names.
        TypeError: `__call__` needs arguments that were not given.
    """
    shape = input_shape if len(input_shape) > 3 else (1, *input_shape)
    images = jax.ShapeDtypeStruct(shape, jnp.float32)
    arguments = evaluation_arguments(model, apply_arguments)
    # Keys without meaning: nothing is computed.
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(0)}
    if variables is None:
        variables = jax.eval_shape(lambda x: model.init(keys, x, **arguments), images)
    counts: dict[str, int] = {}

    def count(next_method: Any, args: Any, kwargs: Any, context: Any) -> Any:
        output = next_method(*args, **kwargs)
        layer = context.module
        if isinstance(layer, _LAYERS) and context.method_name == "__call__":
            once = layer_multiply_adds(layer, args[0].shape, output.shape)
            if not once:
                return output
            name = "/".join(layer.path)
            repeats = _stacked(variables["params"], layer)
            # The body of a scan is traced more than once, and each trace would count.
            earlier = counts.get(name, 0) if repeats is None else 0
            counts[name] = earlier + once * (repeats or 1)
        return output

    def apply(variables: Any, x: jax.Array) -> Any:
        with linen.intercept_methods(count):
            return model.apply(variables, x, rngs={"dropout": keys["dropout"]}, **arguments)

    jax.eval_shape(apply, variables, images)
    return counts


def layer_multiply_adds(
    layer: linen.Module, input_shape: tuple[int, ...], output_shape: tuple[int, ...]
) -> int:
    """Counts the multiply-adds of one call of a bound layer; 0 for a layer without products.

    Args:
        layer: the layer, while it is being called.
        input_shape: shape of its input.
        output_shape: shape of its output.

    Returns:
        The size of the kernel times the number of positions at which it is applied.
    """
    if not isinstance(layer, _LAYERS):
        return 0
    kernel = layer.variables["params"].get("kernel")
    if kernel is None:  # a layer that replaces it is counted (`nn.change_layers`)
        return 0
    size = math.prod(kernel.shape)
    if isinstance(layer, linen.Conv) and layer.mask is not None:
        # Masked weights are no connections.
        size = int(np.count_nonzero(layer.mask))
    if isinstance(layer, linen.ConvTranspose):
        # Each input value meets each tap once, however far apart the outputs are.
        positions = math.prod(input_shape[:-1])
    elif isinstance(layer, linen.ConvLocal):
        # The kernel has weights of its own for every position.
        positions = math.prod(output_shape[: -len(kernel.shape) + 1])
    elif isinstance(layer, linen.DenseGeneral | linen.Einsum):
        features = layer.features if isinstance(layer, linen.DenseGeneral) else layer.shape[-1]
        positions = math.prod(output_shape) // math.prod(np.atleast_1d(features).tolist())
    else:
        positions = math.prod(output_shape[:-1])
    return size * positions


def _stacked(params: Any, layer: linen.Module) -> int | None:
    """Returns how many kernels `flax.linen.scan` stacked for a layer; None if it did not."""
    kernel = params
    for name in (*layer.path, "kernel"):
        kernel = kernel[name]
    seen = layer.variables["params"]["kernel"]
    return kernel.shape[0] if kernel.ndim > seen.ndim else None
