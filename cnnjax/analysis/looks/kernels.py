"""The kernels of a network's layers as pictures."""

from typing import Any

import flax.linen as linen
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cnnjax.analysis.calls import check_names, module_calls


def convolution_kernels(
    model: linen.Module, variables: Any, images: Any, **apply_arguments: Any
) -> dict[str, Array]:
    """Returns the kernels of all convolutions, in the order in which the model applies them.

    Args:
        model: any Flax module.
        variables: its variables, with the collection "params".
        images: its input [batch, height, width, channels], or the shape of it.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        Module name to kernel [kernel_height, kernel_width, in_channels / groups, out_channels], for
        every module that owns a four-dimensional parameter named "kernel".
    """
    kernels = {}
    for call in module_calls(model, variables, images, **apply_arguments):
        own = variables.get("params", {})
        for part in call.path:
            own = own.get(part, {})
        kernel = own.get("kernel")
        # A layer that is called again has the same kernel.
        if call.occurrence == 0 and getattr(kernel, "ndim", 0) == 4:
            kernels[call.name] = kernel
    return kernels


def first_layer_kernels(
    model: linen.Module, variables: Any, images: Any, **apply_arguments: Any
) -> tuple[str, Array]:
    """Returns the kernels of the first convolution: they act on pixels, and are shown as pictures.

    Args:
        model: any Flax module.
        variables: its variables, with the collection "params".
        images: its input [batch, height, width, channels], or the shape of it.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The layer's name, and its kernel [kernel_height, kernel_width, in_channels, out_channels].

    Raises:
        ValueError: the model has no convolution.
    """
    kernels = convolution_kernels(model, variables, images, **apply_arguments)
    if not kernels:
        raise ValueError(
            f"{type(model).__name__} has no convolution: no module owns a four-dimensional "
            "parameter named 'kernel'"
        )
    return next(iter(kernels.items()))


def layer_kernels(
    model: linen.Module, variables: Any, images: Any, layer: str, **apply_arguments: Any
) -> Array:
    """Returns the kernels of one convolution by name.

    Args:
        model: any Flax module.
        variables: its variables, with the collection "params".
        images: its input [batch, height, width, channels], or the shape of it.
        layer: the convolution, as `module_calls` names it.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The kernel [kernel_height, kernel_width, in_channels / groups, out_channels].

    Raises:
        KeyError: no convolution has that name; the message gives the nearest.
    """
    kernels = convolution_kernels(model, variables, images, **apply_arguments)
    check_names([layer], list(kernels), f"convolution of {type(model).__name__}")
    return kernels[layer]


def kernel_pictures(
    kernel: Float[ArrayLike, "height width in_channels out_channels"],
) -> Float[np.ndarray, "pictures height width channels"]:
    """Scales kernels to pictures, one for each output channel or each pair of channels.

    Args:
        kernel: [height, width, in_channels, out_channels].

    Returns:
        float32. Three input channels are colors: [out_channels, height, width, 3] in 0..1, each
        kernel scaled to its own range. Otherwise one gray picture for each pair of channels,
        [out_channels * in_channels, height, width, 1] in -1..1, where 0 stays 0 and all pictures
        have one scale.

    Raises:
        ValueError: the kernel does not have four dimensions.
    """
    weights = np.asarray(kernel, np.float32)
    if weights.ndim != 4:
        raise ValueError(
            f"kernel_pictures: the kernel has shape {weights.shape}; expected four dimensions, "
            "[height, width, in_channels, out_channels]"
        )
    height, width, channels, _ = weights.shape
    if channels == 3:
        pictures = weights.transpose(3, 0, 1, 2)
        low = pictures.min(axis=(1, 2, 3), keepdims=True)
        spread = pictures.max(axis=(1, 2, 3), keepdims=True) - low
        return (pictures - low) / np.where(spread > 0, spread, 1)
    pictures = weights.transpose(3, 2, 0, 1).reshape(-1, height, width, 1)
    largest = np.abs(pictures).max()
    return pictures / (largest if largest > 0 else 1)
