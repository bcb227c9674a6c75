"""Batch norm folded into the layer before it: the same predictions by fewer layers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import nn
from cnnjax.analysis.calls import ModuleCall, observe_calls
from cnnjax.analysis.graph.network import NetworkGraph, Node
from cnnjax.analysis.graph.read import network_graph

_FOLDING = (linen.Conv, linen.ConvTranspose, linen.Dense)
_NORMS = (linen.BatchNorm, nn.BatchNorm)


@dataclass(frozen=True)
class Folded:
    """A network for prediction, whose batch norms are part of the layers before them.

    Attributes:
        model: the network; it has a bias where a norm was, and is not for training.
        variables: its variables.
        folded: pairs of a layer and the norm that became part of it, by their paths.
        kept: the other batch norms by their paths, and why each stays.
    """

    model: linen.Module
    variables: dict[str, Any]
    folded: tuple[tuple[str, str], ...]
    kept: dict[str, str]


def folded(
    model: linen.Module,
    variables: Mapping[str, Any],
    input_shape: Sequence[int],
    *,
    dtype: Any = jnp.float32,
) -> Folded:
    """Folds batch norms into the convolutions and dense layers before them.

    In evaluation mode batch norm multiplies each channel by gamma / sqrt(var + epsilon) and adds
    beta - mean * gamma / sqrt(var + epsilon). Where a linear layer's output goes to the norm alone,
    its kernel and bias can do both. Outputs are equal up to rounding; activations at the folded
    layers are not the same.

    Args:
        model: any Linen module.
        variables: its variables, with the running statistics.
        input_shape: height, width and channels of an image, without the batch.
        dtype: dtype of the images.

    Returns:
        The network with its variables, and which norms were folded. Where none can be, the network
        is the one that was given.

    Raises:
        TypeError: `model` is no Linen module.
        ValueError: the variables have no parameters, or the model refuses the shape.

    Source: Jacob et al., 2018 (arXiv:1712.05877), section 3.2, equation 14.

    Example:
        >>> import jax
        >>> from cnnjax import inference, models
        >>> model = models.create_model("resnet20_cifar")
        >>> variables = jax.jit(model.init)(jax.random.key(0), jax.numpy.zeros((1, 32, 32, 3)))
        >>> prediction = inference.folded(model, variables, (32, 32, 3))
        >>> len(prediction.folded), prediction.kept
        (19, {})
    """
    if "params" not in variables:
        raise ValueError(
            "folded: the variables have no collection 'params'; give the whole result of "
            "model.init, or a trained network's variables"
        )
    graph = network_graph(model, input_shape, dtype=dtype, variables=variables)
    layers = _layers(model, variables, jax.ShapeDtypeStruct((1, *input_shape), dtype))
    pairs, kept = _pairs(graph, layers)
    changes: dict[str, dict[str, Any]] = {}
    new = _copied(variables)
    for before, norm in pairs:
        changes[before] = {"use_bias": True}
        changes[norm] = {nn.IDENTITY: True}
        normalizing: Any = layers[norm].module
        _fold(new, before.split("/"), norm.split("/"), normalizing.epsilon)
    return Folded(nn.change_layers(model, changes), new, tuple(pairs), kept)


@dataclass(frozen=True)
class _Layer:
    """What is known of a layer from a call of it: its module, its turns and its result's dtype."""

    module: linen.Module
    calls: int
    dtype: Any


def _layers(model: linen.Module, variables: Any, images: Any) -> dict[str, _Layer]:
    """Returns the layers that a network calls by their paths."""
    found: dict[str, _Layer] = {}

    def around(call: ModuleCall, module: Any, inputs: Any, proceed: Callable[[], Any]) -> Any:
        output = proceed()
        path, layer = "/".join(call.path), getattr(output, "dtype", None)
        calls = found[path].calls + 1 if path in found else 1
        found[path] = _Layer(module, calls, layer)
        return output

    with observe_calls(around):
        jax.eval_shape(
            lambda variables, x: nn.apply_network(model, variables, x, train=False),
            variables,
            images,
        )
    return found


def _pairs(
    graph: NetworkGraph, layers: Mapping[str, _Layer]
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Returns the layers that take up a norm, with it, and the other norms with the reasons."""
    pairs, kept = [], {}
    for node in graph.nodes:
        path = "/".join(node.path)
        if not node.is_module or not isinstance(layers[path].module, _NORMS):
            continue
        reason = _obstacle(graph, node, layers)
        if reason is None:
            pairs.append(("/".join(graph.producers(node.name)[0].path), path))
        else:
            kept[path] = reason
    return pairs, kept


def _obstacle(graph: NetworkGraph, node: Node, layers: Mapping[str, _Layer]) -> str | None:
    """Returns why a norm must stay; None where it need not."""
    producers = graph.producers(node.name)
    before = producers[0] if len(producers) == 1 else None
    if before is None or not before.is_module:
        return f"its input comes from {', '.join(each.name for each in producers)}"
    norm, layer = layers["/".join(node.path)], layers["/".join(before.path)]
    if not isinstance(layer.module, _FOLDING):
        return f"its input comes from {before.name}, which is no convolution or dense layer"
    if getattr(layer.module, "transpose_kernel", False):
        return f"{before.name} has a transposed kernel"
    others = [each.name for each in graph.consumers(before.name) if each.name != node.name]
    if others:
        return f"{before.name} goes to {', '.join(others)} too"
    if graph.index(before.name) in graph.outputs:
        return f"{before.name} is an output of the network"
    if norm.calls > 1 or layer.calls > 1 or node.turns > 1 or before.turns > 1:
        return f"{before.name} or the norm is called several times"
    if getattr(norm.module, "axis", -1) != -1:
        return "it does not normalize the last axis"
    if norm.dtype != layer.dtype:
        return f"it returns {norm.dtype}, and {before.name} {layer.dtype}"
    return None


def _fold(
    variables: dict[str, Any],
    before: Sequence[str],
    norm: Sequence[str],
    epsilon: float,
) -> None:
    """Puts a norm's factors and offsets into the kernel and the bias of a layer."""
    statistics = _removed(variables["batch_stats"], norm)
    learned = _removed(variables["params"], norm)
    mean, var = _wide(statistics["mean"]), _wide(statistics["var"])
    factor = _wide(learned.get("scale", 1.0)) / np.sqrt(var + epsilon)
    offset = _wide(learned.get("bias", 0.0)) - mean * factor
    parameters = variables["params"]
    for name in before[:-1]:
        parameters = parameters[name]
    own = parameters[before[-1]]
    kernel = own["kernel"]
    bias = _wide(own.get("bias", 0.0)) * factor + offset
    # Every kind of layer has its outputs on the kernel's last axis.
    parameters[before[-1]] = {
        **own,
        "kernel": jnp.asarray(_wide(kernel) * factor, kernel.dtype),
        "bias": jnp.asarray(bias, kernel.dtype),
    }


def _wide(values: Any) -> np.ndarray:
    return np.asarray(values, np.float64)


def _copied(tree: Any) -> Any:
    """Returns nested dictionaries anew, with the same arrays."""
    if not isinstance(tree, Mapping):
        return tree
    return {name: _copied(value) for name, value in tree.items()}


def _removed(tree: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """Takes a layer's arrays out of a tree, and with them the modules that are then empty."""
    if path[0] not in tree:
        return {}
    if len(path) == 1:
        return tree.pop(path[0])
    found = _removed(tree[path[0]], path[1:])
    if not tree[path[0]]:
        del tree[path[0]]
    return found
