"""The operations of a traced model, grouped into layers."""

import collections
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnnjax.analysis.cost.layer_rows import KINDS, is_layer
from cnnjax.analysis.cost.operations import IMAGE, Operation, Source
from cnnjax.analysis.cost.traces import Trace
from cnnjax.nn.activations import SCOPE

# Operations that hand an array on: names and marks, casts, and hints for the compiler.
_HANDED_ON = frozenset(
    {
        "name",
        "reverse_mode_only",
        "convert_element_type",
        "reduce_precision",
        "copy",
        "copy_p",
        "optimization_barrier",
        "sharding_constraint",
        "pvary",
        "pcast",
    }
)
_SCALINGS = frozenset({"mul", "div", "add", "sub", "neg"})
# Layers that end with a scaling: an average written as a sum, and a mean of branches.
_SCALED = frozenset({"add", "concatenate", "avg_pool", "global_avg_pool", "pool"})


@dataclass(frozen=True)
class Unit:
    """The operations of one layer.

    Attributes:
        operations: their indices in the trace, in order.
        call: index of the module call that they belong to.
        kind: the function; "" for a module's call, which has its class.
    """

    operations: tuple[int, ...]
    call: int
    kind: str = ""


def origin(trace: Trace, source: Source) -> Source:
    """Returns where an array is computed: behind casts and names, which hand it on.

    Args:
        trace: a traced model.
        source: where the array comes from.
    """
    while source[0] != IMAGE and trace.operations[source[0]].primitive in _HANDED_ON:
        operation = trace.operations[source[0]]
        # Only a barrier for the compiler hands on several arrays.
        before = operation.sources[min(source[1], len(operation.sources) - 1)]
        if before is None:
            break
        source = before
    return source


def layer_units(trace: Trace) -> list[Unit]:
    """Groups the operations that a traced model's outputs are computed from into layers.

    A module that calls no other is a layer. Outside of these, an inlined function that calls no
    module is one, such as `jax.nn.relu`; so are neighboring operations in one named scope or of one
    function of `jax.nn`. All other operations are layers of their own. Sums of several branches
    become one addition, and a scaling by a constant becomes part of the pool or the addition before
    it.

    Args:
        trace: a traced model.

    Returns:
        The layers, each after those whose outputs it takes.
    """
    live = _live(trace)
    mixed = {
        number
        for operation in trace.operations
        for number, _, call in operation.within
        if call != operation.call
    }
    members: dict[Any, list[int]] = {}
    names: dict[Any, str] = {}
    scopes = _Scopes()
    for i in live:
        operation = trace.operations[i]
        function = _function(operation, mixed)
        scope = operation.function or operation.inner or operation.library
        # A network that calls no modules is drawn as the functions that it calls.
        is_module = operation.call > 0 or 0 in trace.products
        if is_module and trace.calls[operation.call].is_leaf:
            key, name = ("call", operation.call), ""
        elif any(scope):
            key, name = ("scope", scopes.run(operation.call, scope, function)), ""
        elif function is not None:
            key, name = ("function", function[0]), function[1]
        else:
            key, name = ("operation", i), operation.primitive
        if key[0] != "scope":
            scopes.leave()
        members.setdefault(key, []).append(i)
        names[key] = name
    units = [
        Unit(
            tuple(indices),
            trace.operations[indices[0]].call,
            "" if key[0] == "call" else _kind(trace, indices, names[key]),
        )
        for key, indices in members.items()
    ]
    return sorted(_merged(trace, units), key=lambda unit: unit.operations[-1])


def _live(trace: Trace) -> list[int]:
    """Returns the operations that the outputs depend on, in order, without those that hand on."""
    found: set[int] = set()
    waiting = [source for source in trace.results if source is not None]
    while waiting:
        index, _ = origin(trace, waiting.pop())
        if index != IMAGE and index not in found:
            found.add(index)
            waiting += [s for s in trace.operations[index].sources if s is not None]
    return sorted(found)


def _function(operation: Operation, mixed: set[int]) -> tuple[int, str] | None:
    """Returns the outermost inlined function around an operation that calls no module."""
    for number, name, call in operation.within:
        if call == operation.call and number not in mixed:
            return number, name
    return None


class _Scopes:
    """Numbers the runs of neighboring operations in one scope."""

    def __init__(self):
        self._number = 0
        self._scope: Any = None
        self._inlined: dict[int, str] = {}

    def run(self, call: int, scope: Any, function: tuple[int, str] | None) -> int:
        """Returns the run of an operation.

        The same inlined function again starts a new one: two pools in a row are two layers.
        """
        again = (
            function is not None
            and function[0] not in self._inlined
            and function[1] in self._inlined.values()
        )
        if (call, scope) != self._scope or again:
            self._number += 1
            self._scope, self._inlined = (call, scope), {}
        if function is not None:
            self._inlined[function[0]] = function[1]
        return self._number

    def leave(self) -> None:
        """Ends the run: another operation follows."""
        self._scope = None


def function_name(trace: Trace, indices: Iterable[int]) -> str:
    """Returns the named function that a layer starts with; "" if there is none.

    Args:
        trace: a traced model.
        indices: of the layer's operations.
    """
    operations = [trace.operations[i] for i in indices]
    named = [each.inner or each.library[0] for each in operations]
    inlined = [name.strip("_") for each in operations for _, name, _ in each.within[-1:]]
    return next(filter(str.isidentifier, [*named, *inlined]), "")


def _kind(trace: Trace, indices: Sequence[int], name: str) -> str:
    """Returns the function of a layer that is no module."""
    operations = [trace.operations[i] for i in indices]
    named = [each.inner or each.library[0] for each in operations]
    if any(named):
        return next(filter(None, named))
    if operations[0].function == SCOPE:
        # An activation without a name of its own: its function, or what it does.
        found = {
            next((name for _, name, call in each.within if call == each.call), each.primitive)
            for each in operations
        }
        return found.pop().strip("_") if len(found) == 1 else SCOPE
    layers = [KINDS[each.primitive] for each in operations if is_layer(each)]
    if layers:
        return layers[0]
    # A function without a name of its own is what it does last.
    return name.strip("_") if name.isidentifier() else operations[-1].primitive


def _merged(trace: Trace, units: list[Unit]) -> list[Unit]:
    """Joins sums of sums, and scalings by constants with what they scale."""
    owner = {i: place for place, unit in enumerate(units) for i in unit.operations}
    takers: dict[int, set[int]] = collections.defaultdict(set)
    sources: dict[int, list[int]] = {}
    for place, unit in enumerate(units):
        found = sources_of(trace, unit.operations)
        sources[place] = [owner[index] for (index, _), _ in found if index != IMAGE]
        for each in sources[place]:
            takers[each].add(place)
    returned = {
        owner[origin(trace, source)[0]]
        for source in trace.results
        if source is not None and origin(trace, source)[0] != IMAGE
    }
    order = sorted(range(len(units)), key=lambda place: units[place].operations[-1])
    # A merged unit takes the place of its last part, which later units refer to.
    for place in order:
        for before in sources[place]:
            alone = takers[before] == {place} and before not in returned
            if alone and _merges(trace, units[before], units[place], len(sources[place])):
                first, second = units[before], units[place]
                units[place] = replace(
                    second, operations=first.operations + second.operations, kind=first.kind
                )
                units[before] = replace(first, operations=())
    return [
        replace(unit, operations=tuple(sorted(unit.operations)))
        for unit in units
        if unit.operations
    ]


def _merges(trace: Trace, first: Unit, second: Unit, arrays: int) -> bool:
    if first.call != second.call or not first.kind or not first.operations:
        return False
    if first.kind == second.kind == "add":
        # Not behind a scaling: what is scaled there is no longer all that is added.
        return trace.operations[first.operations[-1]].primitive == "add"
    if first.kind not in _SCALED or arrays != 1 or len(second.operations) != 1:
        return False
    operation = trace.operations[second.operations[0]]
    return (
        operation.primitive in _SCALINGS
        and operation.depends == 1
        and not operation.variables
        and operation.output_shapes[0] in operation.input_shapes
    )


def sources_of(trace: Trace, operations: Sequence[int]) -> list[tuple[Source, tuple[int, ...]]]:
    """Returns the arrays that a layer takes from others, each once, with the shapes it takes.

    Args:
        trace: a traced model.
        operations: indices of the layer's operations.
    """
    own = set(operations)
    found: dict[Source, tuple[int, ...]] = {}
    for i in operations:
        operation = trace.operations[i]
        for source, shape in zip(operation.sources, operation.input_shapes, strict=True):
            if source is None:
                continue
            where = origin(trace, source)
            if where[0] not in own:
                found.setdefault(where, shape)
    return list(found.items())
