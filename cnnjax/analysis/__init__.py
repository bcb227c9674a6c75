"""What a network costs, what it looks at, and how it behaves: for any Flax model."""

from cnnjax.analysis.calls import ModuleCall, module_calls
from cnnjax.analysis.cost.layer_rows import Row
from cnnjax.analysis.cost.multiply_adds import multiply_adds
from cnnjax.analysis.cost.summarize import summarize
from cnnjax.analysis.cost.summary import Summary, format_summary, side_by_side
from cnnjax.analysis.diagrams.diagram import diagram
from cnnjax.analysis.graph.network import Edge, NetworkGraph, Node
from cnnjax.analysis.graph.read import network_graph
from cnnjax.analysis.looks.activations import activation_shapes, activations, stage_activations
from cnnjax.analysis.looks.kernels import (
    convolution_kernels,
    first_layer_kernels,
    kernel_pictures,
    layer_kernels,
)
from cnnjax.analysis.windows.convolution import draw_convolution, draw_padding, draw_strides
from cnnjax.analysis.windows.fields import draw_receptive_field
from cnnjax.analysis.windows.pooling import draw_pooling, draw_unpooling

__all__ = [
    "Edge",
    "ModuleCall",
    "NetworkGraph",
    "Node",
    "Row",
    "Summary",
    "activation_shapes",
    "activations",
    "convolution_kernels",
    "diagram",
    "draw_convolution",
    "draw_padding",
    "draw_pooling",
    "draw_receptive_field",
    "draw_strides",
    "draw_unpooling",
    "first_layer_kernels",
    "format_summary",
    "kernel_pictures",
    "layer_kernels",
    "module_calls",
    "multiply_adds",
    "network_graph",
    "side_by_side",
    "stage_activations",
    "summarize",
]
