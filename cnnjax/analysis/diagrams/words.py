"""The words and the colors of a diagram: what its boxes are called."""

from collections.abc import Sequence

from cnnjax.analysis.cost.summary import compact
from cnnjax.analysis.graph.network import Node

_TITLES = {
    "ConvTranspose": "Transposed conv",
    "ConvLocal": "Local conv",
    "SparseConv": "Sparse conv",
    "DenseGeneral": "Dense",
    "conv2d": "Conv",
    "conv_general_dilated": "Conv",
    "matmul": "Product",
    "dot_general": "Product",
    "MaxPool": "Max pool",
    "AvgPool": "Avg pool",
    "SumPool": "Sum pool",
    "max_pool": "Max pool",
    "avg_pool": "Avg pool",
    "sum_pool": "Sum pool",
    "global_avg_pool": "Global avg",
    "global_max_pool": "Global max",
    "GlobalAvgPool": "Global avg",
    "LocalResponseNorm": "LRN",
    "concatenate": "Concat",
    "add": "Add",
    "mul": "Multiply",
    "sub": "Subtract",
    "div": "Divide",
    "max": "Maximum",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "leaky_relu": "Leaky ReLU",
    "scaled_tanh": "Scaled tanh",
    "gelu": "GELU",
    "silu": "SiLU",
    "elu": "ELU",
    "logistic": "Sigmoid",
    "input": "Input",
}
_CATEGORIES = (
    ("conv", ("conv",)),
    ("dense", ("dense", "matmul", "dot_general", "einsum", "embed")),
    ("pool", ("pool", "global", "reduce", "upsample", "resize")),
    ("join", ("add", "concatenate", "mul", "sub", "div", "stack", "mean")),
    ("light", ("norm", "relu", "tanh", "sigmoid", "logistic", "softmax", "elu", "reshape")),
)
# Of kernels that slide: height, width, inputs, outputs.
_KERNEL_AXES = 4


def category(node: Node) -> str:
    """Returns the color of a layer: "conv", "dense", "pool", "join", "light" or "other".

    Args:
        node: the layer.
    """
    kind = node.kind.lower()
    for name, words in _CATEGORIES:
        if kind in words if name == "join" else any(word in kind for word in words):
            return name
    return "other"


def title(node: Node, inputs: Sequence[tuple[int, ...]]) -> str:
    """Returns what a layer is, such as "Conv 3×3".

    Args:
        node: the layer.
        inputs: shapes of the arrays that it takes.
    """
    if (
        node.kind == "add"
        and node.primitives[-1] == "div"
        and node.constants[-1:] == (len(inputs),)
    ):
        return "Mean"
    name = _TITLES.get(node.kind) or _spaced(node)
    if node.is_module and not node.variables and category(node) == "other":
        # Such as a module that applies a function which is chosen by name.
        name = _TITLES.get(node.function, name)
    kernel = kernel_size(node) or (node.window if category(node) == "conv" else None)
    return name if kernel is None else f"{name} {_pair(kernel)}"


def _pair(pair: tuple[int, int]) -> str:
    return f"{pair[0]}×{pair[1]}"


def _spaced(node: Node) -> str:
    if node.kind == "reshape" or node.kind == "ravel":
        return "Flatten" if len(node.shape) == 2 else "Reshape"
    if node.is_module or not node.kind.islower():
        return node.kind
    return node.kind.replace("_", " ").capitalize()


def kernel_size(node: Node) -> tuple[int, int] | None:
    """Returns height and width of a convolution's kernel; None for other layers.

    Args:
        node: the layer.
    """
    kernel = _kernel(node)
    return None if kernel is None else (kernel[-4], kernel[-3])


def notes(node: Node, inputs: Sequence[tuple[int, ...]]) -> list[str]:
    """Returns what else distinguishes a layer: window and stride, groups, a dilation, a constant.

    Args:
        node: the layer.
        inputs: shapes of the arrays that it takes.
    """
    slides = []
    kernel = _kernel(node)
    if category(node) == "pool" and node.window not in (None, (1, 1)):
        slides.append(_pair(node.window or (1, 1)))
    if node.stride and node.stride != (1, 1):
        same = node.stride[0] == node.stride[1]
        slides.append(f"stride {node.stride[0] if same else _pair(node.stride)}")
    lines = [", ".join(slides)] if slides else []
    if kernel is not None and inputs and inputs[0][-1] > kernel[-2] and node.kind != "ConvLocal":
        groups = inputs[0][-1] // kernel[-2]
        lines.append("depthwise" if kernel[-2] == 1 else f"{groups} groups")
    if kernel is not None and node.window is not None:
        lines += _dilation((kernel[-4], kernel[-3]), node.window)
    scaled = {"div": "divided", "mul": "scaled"}.get(node.primitives[-1] if inputs else "")
    if node.kind in ("add", "concatenate") and scaled and title(node, inputs) != "Mean":
        lines.append(scaled)
    return lines


def _kernel(node: Node) -> tuple[int, ...] | None:
    if category(node) != "conv":
        return None
    kernels = [shape for path, shape in node.variables.items() if path[0] == "params"]
    sliding = [shape for shape in kernels if len(shape) >= _KERNEL_AXES]
    return sliding[0] if len(sliding) == 1 else None


def _dilation(kernel: tuple[int, int], window: tuple[int, int]) -> list[str]:
    steps = [
        (reach - 1) // (taps - 1)
        for taps, reach in zip(kernel, window, strict=True)
        if taps > 1 and (reach - 1) % (taps - 1) == 0
    ]
    return [f"dilation {steps[0]}"] if steps and max(steps) > 1 else []


def params_text(number: int) -> str:
    """Returns a number of parameters, such as "23.5M params"; "" for none.

    Args:
        number: the number.
    """
    return f"{compact(number)} params" if number else ""


def shape_label(shape: Sequence[int]) -> str:
    """Returns a shape as it is written on an edge, without the batch.

    Args:
        shape: the shape, with the batch.
    """
    return "×".join(map(str, shape[1:])) or "1"
