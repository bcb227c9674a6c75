"""What a network costs, what it looks at, and how it behaves: for any Flax model."""

from cnnjax.analysis.activations import activations, stage_activations
from cnnjax.analysis.calls import ModuleCall, module_calls
from cnnjax.analysis.kernels import (
    convolution_kernels,
    first_layer_kernels,
    kernel_pictures,
    layer_kernels,
)

__all__ = [
    "ModuleCall",
    "activations",
    "convolution_kernels",
    "first_layer_kernels",
    "kernel_pictures",
    "layer_kernels",
    "module_calls",
    "stage_activations",
]
