"""The operations of one application of a model, in order, each with the module that it belongs to.

A model is traced by shapes alone. Of operations that have one form for each platform, the general
form is read; the loops of `lax.scan` are read once for each of their turns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import flax.linen as linen
import jax
from jax import ad_checkpoint
from jax.extend.core import Jaxpr, Literal

from cnnjax.analysis.calls import ModuleCall, evaluation_arguments, observe_calls
from cnnjax.analysis.cost.inner_programs import general_branch, inner_program
from cnnjax.analysis.cost.multiply_adds import layer_multiply_adds
from cnnjax.analysis.cost.operations import (
    IMAGE,
    MARK,
    Flow,
    Operation,
    Place,
    Reaches,
    Source,
    read_operation,
    shapes_of,
)
from cnnjax.analysis.cost.receptive_field import Reach
from cnnjax.analysis.cost.receptive_field_rules import propagate


@dataclass(frozen=True)
class Trace:
    """A model's application, read from shapes.

    Attributes:
        calls: the module calls, in the order in which they start.
        operations: the primitive operations in order; they refer to calls by index.
        products: multiply-adds of one turn of the calls that are convolutions or dense layers.
        variables: for each of the model's variables, the path to it, with its collection, and its
            shape; operations refer to them by index.
        results: for each array that the model returns, where it comes from; None where it does not
            depend on the image.
    """

    calls: Sequence[ModuleCall]
    operations: Sequence[Operation]
    products: Mapping[int, int]
    variables: Sequence[tuple[tuple[str, ...], tuple[int, ...]]]
    results: Sequence[Source | None]


def trace_operations(
    model: linen.Module, variables: Any, images: Any, **apply_arguments: Any
) -> Trace:
    """Traces a model without running it.

    Args:
        model: any Flax module.
        variables: its variables, or their shapes.
        images: its input [batch, height, width, channels], or the shape of it; other ranks are
            traced too, with axes 1 and 2 as rows and columns, as far as there are such axes.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The module calls and the operations.

    Raises:
        TypeError: `__call__` needs arguments that were not given.
    """
    arguments = evaluation_arguments(model, apply_arguments)
    count = 0
    products: dict[int, int] = {}

    def around(
        call: ModuleCall, module: linen.Module, inputs: tuple[Any, ...], proceed: Callable[[], Any]
    ) -> Any:
        nonlocal count
        index = count
        count += 1
        with jax.named_scope(f"{MARK}{index}"):
            # The scope marks each operation with the call that it belongs to.
            output = proceed()
        if not isinstance(output, jax.Array):
            return output
        # A module may take a list of arrays, or none; a layer whose products are known takes one.
        if (
            inputs
            and isinstance(inputs[0], jax.Array)
            and (known := layer_multiply_adds(module, inputs[0].shape, output.shape))
        ):
            products[index] = known
        # The name marks the result, since the last operation may be that of an inner call.
        return ad_checkpoint.checkpoint_name(output, f"{MARK}{index}")

    with observe_calls(around) as calls:
        program = jax.make_jaxpr(lambda v, x: model.apply(v, x, **arguments))(variables, images)
    rank = len(images.shape)
    image = Reach.of_image(images.shape, 1), Reach.of_image(images.shape, 2 if rank > 3 else 1)
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    inputs = [Flow(variables=frozenset({i})) for i in range(len(leaves))]
    reader = _Reader()
    results = reader.read(program.jaxpr, [*inputs, Flow(image, (IMAGE, 0))], Place())
    paths = [tuple(str(getattr(key, "key", key)) for key in path) for path, _ in leaves]
    return Trace(
        calls,
        reader.operations,
        products,
        [(path, tuple(leaf.shape)) for path, (_, leaf) in zip(paths, leaves, strict=True)],
        [flow.source for flow in results],
    )


@dataclass
class _Reader:
    """Follows arrays through a program and notes its operations.

    Attributes:
        operations: those noted so far.
        is_quiet: whether operations are left out, as in all turns of a loop but the last.
        inlined: the number of inlined programs so far.
    """

    operations: list[Operation] = field(default_factory=list)
    is_quiet: bool = False
    inlined: int = 0

    def read(self, program: Jaxpr, inputs: Sequence[Flow], place: Place) -> list[Flow]:
        """Reads a program and returns what is known of its results."""
        known: dict[Any, Flow] = dict(zip(program.invars, inputs, strict=True))
        known.update(dict.fromkeys(program.constvars, Flow()))

        def flow_of(atom: Any) -> Flow:
            return Flow() if isinstance(atom, Literal) else known[atom]

        for equation in program.eqns:
            operands = [flow_of(atom) for atom in equation.invars]
            inner = replace(place, scope=f"{place.scope}/{equation.source_info.name_stack}")
            name, params = equation.primitive.name, equation.params
            if (branch := general_branch(name, params)) is not None:
                results = self.read(branch, operands[1:], inner)
            elif (body := inner_program(name, params)) is not None:
                results = self.read(body, operands, self._inside(inner, params, body))
            elif name == "scan":
                results = self._read_scan(equation, operands, inner)
            else:
                results = self._note(equation, operands, inner)
            known.update(zip(equation.outvars, results, strict=True))
        return [flow_of(atom) for atom in program.outvars]

    def _inside(self, place: Place, params: Mapping[str, Any], body: Jaxpr) -> Place:
        """Returns the place of an inlined program's equations."""
        self.inlined += 1
        # Not every primitive names its function; the program does.
        known = getattr(getattr(body, "debug_info", None), "func_name", "")
        function = str(params.get("name") or known)
        call = place.calls[-1] if place.calls else 0
        return replace(place, within=(*place.within, (self.inlined, function, call)))

    def _note(self, equation: Any, operands: Sequence[Flow], place: Place) -> list[Flow]:
        results = _results(equation, [flow.reaches for flow in operands])
        operation = read_operation(equation, operands, results, place)
        if not self.is_quiet:
            self.operations.append(operation)
        if not operation.depends:
            # Such as a kernel that is normalized before it is used.
            return [Flow(variables=operation.variables) for _ in results]
        index = len(self.operations) - 1
        return [Flow(reaches, (index, i)) for i, reaches in enumerate(results)]

    def _read_scan(self, equation: Any, operands: Sequence[Flow], place: Place) -> list[Flow]:
        """Follows what a loop carries from turn to turn; its operations are noted once, at the end.

        The last turn has the widest dependence on the image. Its operations are connected to what
        enters the first one, so that the loop is drawn as one turn.
        """
        body, length = equation.params["jaxpr"].jaxpr, equation.params["length"]
        # The operands are constants, carried values and stacks; the results are carried values and
        # stacks. A stack has one axis more outside of the loop than inside.
        stacks_in, stacks_out = (
            sum(len(o.aval.shape) > len(i.aval.shape) for o, i in zip(outer, inner, strict=True))
            for outer, inner in ((equation.invars, body.invars), (equation.outvars, body.outvars))
        )
        carried = len(body.outvars) - stacks_out
        fixed = len(body.invars) - carried - stacks_in
        first = list(operands[fixed : fixed + carried])
        carry = first
        # A slice of a stack that depends on the image may depend on all of it.
        slices = [
            replace(flow, reaches=_everywhere(flow.reaches, variable.aval.shape))
            for flow, variable in zip(
                operands[fixed + carried :], body.invars[fixed + carried :], strict=True
            )
        ]
        results: list[Flow] = []
        was_quiet = self.is_quiet
        for turn in range(length):
            self.is_quiet = was_quiet or turn < length - 1
            if turn:
                carry = [_carried(*flows) for flows in zip(first, carry, strict=True)]
            results = self.read(
                body,
                [*operands[:fixed], *carry, *slices],
                replace(place, turns=place.turns * length),
            )
            carry = results[:carried]
        self.is_quiet = was_quiet
        stacked = [
            replace(flow, reaches=_everywhere(flow.reaches, (length, *variable.aval.shape)))
            for flow, variable in zip(results[carried:], body.outvars[carried:], strict=True)
        ]
        return [*carry, *stacked]


def _carried(first: Flow, latest: Flow) -> Flow:
    """Returns a carried array as the next turn sees it: known by what entered the first turn."""
    return Flow(latest.reaches, first.source, first.variables | latest.variables)


def _everywhere(reaches: Reaches, shape: Sequence[int]) -> Reaches:
    """Returns the dependence of an array each of whose elements depends on all of another."""
    rows, columns = (None if r is None else r.everywhere(shape) for r in reaches)
    return rows, columns


def _results(equation: Any, operands: Sequence[Reaches]) -> list[Reaches]:
    shapes = [variable.aval.shape for variable in equation.outvars]
    params = dict(equation.params, _shapes=shapes_of(equation.invars))
    rows, columns = (
        propagate(equation.primitive.name, params, [o[axis] for o in operands], shapes)
        for axis in (0, 1)
    )
    return list(zip(rows, columns, strict=True))
