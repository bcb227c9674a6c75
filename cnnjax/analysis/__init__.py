"""What a network costs, what it looks at, and how it behaves: for any Flax model."""

from cnnjax.analysis.activations import activation_shapes, activations, stage_activations
from cnnjax.analysis.calls import ModuleCall, module_calls
from cnnjax.analysis.kernels import (
    convolution_kernels,
    first_layer_kernels,
    kernel_pictures,
    layer_kernels,
)
from cnnjax.analysis.layer_rows import Row
from cnnjax.analysis.multiply_adds import multiply_adds
from cnnjax.analysis.summary import Summary, summarize
from cnnjax.analysis.summary_formats import format_summary, side_by_side

__all__ = [
    "ModuleCall",
    "Row",
    "Summary",
    "activation_shapes",
    "activations",
    "convolution_kernels",
    "first_layer_kernels",
    "format_summary",
    "kernel_pictures",
    "layer_kernels",
    "module_calls",
    "multiply_adds",
    "side_by_side",
    "stage_activations",
    "summarize",
]
