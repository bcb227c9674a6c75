"""The reader: any Flax module as a graph of its layers, from shapes alone."""

import collections
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

from cnnjax.analysis.cost.operations import IMAGE, INDEPENDENT, Reaches, Source
from cnnjax.analysis.cost.receptive_field import Reach
from cnnjax.analysis.cost.summarize import checked_shape, shape_variables
from cnnjax.analysis.cost.traces import Trace, trace_operations
from cnnjax.analysis.graph.network import INPUT, Edge, NetworkGraph, Node
from cnnjax.analysis.graph.units import Unit, function_name, layer_units, origin, sources_of


def network_graph(
    model: linen.Module,
    input_shape: Sequence[int],
    *,
    dtype: Any = jnp.float32,
    variables: Any = None,
    **apply_arguments: Any,
) -> NetworkGraph:
    """Reads any Flax module as a graph of its layers, from shapes; nothing is computed.

    Args:
        model: any Flax module that takes one array of images.
        input_shape: height, width and channels of an image, without the batch; or the length of a
            vector.
        dtype: dtype of the images.
        variables: the model's variables or their shapes; None initializes by shapes.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The graph.

    Raises:
        TypeError: `model` is no Flax module, or `__call__` needs arguments that were not given.
        ValueError: the shape is not three positive integers or one, the model refuses it, or no
            output depends on the input.

    Example:
        >>> from cnnjax import analysis, models
        >>> graph = analysis.network_graph(models.create_model("resnet20_cifar"), (32, 32, 3))
        >>> [node.name for node in graph.consumers("conv1")]
        ['bn1']
        >>> [node.name for node in graph.producers("stage1_block1/add")]
        ['stage1_block1/bn2', 'relu']
    """
    if not isinstance(model, linen.Module):
        raise TypeError(
            f"network_graph: model {model!r} is no Flax module; give one, such as "
            "models.create_model('lenet5')"
        )
    shape = checked_shape(input_shape, "network_graph")
    images = jax.ShapeDtypeStruct((1, *shape), dtype)
    if variables is None:
        variables = shape_variables(model, images, apply_arguments)
    trace = trace_operations(model, variables, images, **apply_arguments)
    if all(source is None for source in trace.results):
        raise ValueError(
            f"network_graph: no output of {type(model).__name__} depends on the input, so that "
            "there are no layers to show"
        )
    return _graph(type(model).__name__, trace, images.shape)


def _graph(model: str, trace: Trace, shape: tuple[int, ...]) -> NetworkGraph:
    units = layer_units(trace)
    owner = {i: place for place, unit in enumerate(units, 1) for i in unit.operations}
    owner[IMAGE] = 0
    rank = len(shape)
    image = Reach.of_image(shape, 1), Reach.of_image(shape, 2 if rank > 3 else 1)
    naming = _Names(trace)
    left = dict.fromkeys(i for i, (path, _) in enumerate(trace.variables) if path[0] == "params")
    nodes, edges = [Node(INPUT, INPUT, (), False, shape)], []
    for place, unit in enumerate(units, 1):
        taken = sources_of(trace, unit.operations)
        edges += [Edge(owner[source[0]], place, each) for source, each in taken]
        inputs = [_reaches(trace, source, image) for source, _ in taken]
        nodes.append(_node(trace, unit, naming.name(unit), inputs, left))
    results = [origin(trace, source)[0] for source in trace.results if source is not None]
    outputs = tuple(dict.fromkeys(owner[index] for index in results))
    unused = sum(math.prod(trace.variables[i][1]) for i in left)
    return NetworkGraph(model, tuple(nodes), tuple(edges), outputs, trace.calls, unused)


def _node(
    trace: Trace, unit: Unit, name: str, inputs: Sequence[Reaches], left: dict[int, None]
) -> Node:
    """Returns a unit as a node; parameters that are counted with it are taken from `left`."""
    operations = [trace.operations[i] for i in unit.operations]
    last, call = operations[-1], trace.calls[unit.call]
    used = sorted(frozenset().union(*(each.variables for each in operations)))
    counted = [i for i in used if i in left]
    for i in counted:
        del left[i]
    # The layer's own count comes first: some layers compute more, such as `ConvLocal`.
    own = 0 if unit.kind else trace.products.get(unit.call, 0) * last.turns
    window, stride = _window(inputs, last.reaches, last.turns)
    return Node(
        name,
        unit.kind or call.kind,
        call.path,
        not unit.kind,
        last.output_shapes[0],
        tuple(each.primitive for each in operations),
        tuple(value for each in operations for value in each.constants),
        {trace.variables[i][0]: trace.variables[i][1] for i in used},
        sum(math.prod(trace.variables[i][1]) for i in counted),
        own or sum(each.multiply_adds for each in operations),
        window,
        stride,
        last.turns,
        last.calls,
        unit.kind or function_name(trace, unit.operations),
    )


def _reaches(trace: Trace, source: Source, image: Reaches) -> Reaches:
    return image if source[0] == IMAGE else trace.operations[source[0]].reaches


def _window(
    inputs: Sequence[Reaches], output: Reaches, turns: int
) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """Returns window and stride of a layer with one input, from the fields before and after it."""
    # A loop's field is that of all its turns.
    if len(inputs) != 1 or turns > 1 or INDEPENDENT in (inputs[0], output):
        return None, None
    pairs = [_along(before, after) for before, after in zip(inputs[0], output, strict=True)]
    if None in pairs:
        return None, None
    (rows, row_step), (columns, column_step) = (pair for pair in pairs if pair is not None)
    return (rows, columns), (row_step, column_step)


def _along(before: Reach | None, after: Reach | None) -> tuple[int, int] | None:
    if before is None or after is None or not before.stride or not after.stride:
        return None
    step = after.stride / before.stride
    window = Fraction(after.size - before.size) / before.stride + 1
    if step < 1 or window < 1 or step.denominator > 1 or window.denominator > 1:
        return None
    return int(window), int(step)


class _Names:
    """Names nodes as a summary names its rows, with each name once."""

    def __init__(self, trace: Trace):
        self._calls = trace.calls
        self._numbers: collections.Counter[str] = collections.Counter()
        # Loops and checkpoints are traced several times, and only one of the calls is in the
        # program. Calls are therefore counted again.
        self._occurrences: dict[tuple[str, ...], dict[int, int]] = {}
        for operation in trace.operations:
            for call in operation.calls:
                known = self._occurrences.setdefault(trace.calls[call].path, {})
                known.setdefault(call, len(known) + 1)

    def name(self, unit: Unit) -> str:
        path = self._calls[unit.call].path
        number = self._occurrences[path].get(unit.call, 1)
        name = "/".join(path) + (f"#{number}" if number > 1 else "")
        if unit.kind:
            name = f"{name}/{unit.kind}".lstrip("/")
        name = name or self._calls[unit.call].kind
        self._numbers[name] += 1
        return name if self._numbers[name] == 1 else f"{name}#{self._numbers[name]}"
