"""One primitive operation of a traced model: its cost, and the module that it belongs to."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.extend.core import Literal

from cnnjax.analysis.cost.receptive_field import Reach
from cnnjax.nn.activations import SCOPE

MARK = "call:"
"""Before the index of a module call, in the scopes and names by which a program refers to it."""

_JAX = "/jax/_src/"

Reaches = tuple[Reach | None, Reach | None]
INDEPENDENT: Reaches = (None, None)
"""The dependence of what does not depend on the image, by rows and by columns."""


Source = tuple[int, int]
"""Where an array comes from: the index of an operation, or `IMAGE`, and of one of its results."""

IMAGE = -1
"""In place of an operation's index: the array is the model's input."""


@dataclass(frozen=True)
class Flow:
    """What is known of one array while a program is read.

    Attributes:
        reaches: the dependence on the rows and the columns of the image.
        source: the operation that computes it, if it depends on the image; None too for what a
            loop carries, if only its turns make it depend on the image.
        variables: indices of the model's variables that it is computed from; of arrays that depend
            on the image, the operations know them.
    """

    reaches: Reaches = INDEPENDENT
    source: Source | None = None
    variables: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Place:
    """Where an equation is.

    Attributes:
        scope: the named scopes around it, from the outermost to the innermost.
        turns: how often loops repeat it.
        within: for each inlined program around it, from the outermost: a number that is its own,
            the name of the function, and the module call that runs it.
    """

    scope: str = ""
    turns: int = 1
    within: tuple[tuple[int, str, int], ...] = ()

    @property
    def calls(self) -> tuple[int, ...]:
        """Indices of the module calls around the place, from the outermost to the innermost."""
        return tuple(map(int, re.findall(rf"{MARK}(\d+)", self.scope)))


@dataclass(frozen=True)
class Operation:
    """One primitive operation of a traced model.

    Attributes:
        primitive: the name of the primitive.
        call: index of the innermost module call that it belongs to.
        input_shapes: shapes of the operands, with the batch.
        output_shapes: shapes of the results, with the batch.
        output_dtype: dtype of the first result.
        multiply_adds: of convolutions and matrix products that depend on the image, 0 for others.
        depends: how many operands depend on the image.
        reaches: the dependence of the first result on the rows and the columns of the image.
        turns: how often a loop repeats it; `multiply_adds` counts every turn.
        axes: the axes that a reduction removes.
        function: the named scope around it within its module, such as "max_pool".
        inner: the first one within this that is no `SCOPE`, which every activation has around it.
        marks: the call whose result this is; None for other operations.
        sources: for each operand, where it comes from if it depends on the image.
        variables: indices of the model's variables from which the other operands are computed.
        calls: indices of the module calls around it, from the outermost to the innermost.
        within: the inlined programs around it, as in `Place`.
        constants: the numbers that are written in it, in order of its operands.
        library: the function of `jax.nn` that computes it, and the line that calls this; "" if
            there is none, or if JAX does not know.
    """

    primitive: str
    call: int
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    output_dtype: Any
    multiply_adds: int
    depends: int
    reaches: Reaches
    axes: tuple[int, ...] = ()
    turns: int = 1
    marks: int | None = None
    function: str = ""
    inner: str = ""
    sources: tuple[Source | None, ...] = ()
    variables: frozenset[int] = frozenset()
    calls: tuple[int, ...] = ()
    within: tuple[tuple[int, str, int], ...] = ()
    constants: tuple[float, ...] = ()
    library: tuple[str, str] = ("", "")


def read_operation(
    equation: Any, operands: Sequence[Flow], results: Sequence[Reaches], place: Place
) -> Operation:
    """Returns an equation of a program as an operation.

    Args:
        equation: the equation.
        operands: what is known of its operands.
        results: the dependence of its results on the image.
        place: where it is.
    """
    name, turns, calls = equation.primitive.name, place.turns, place.calls
    # Scopes within the innermost module, without those of transformations such as "jit(...)".
    tail = re.split(rf"{MARK}\d+", place.scope)[-1]
    names = [part for part in tail.split("/") if part.isidentifier()]
    own_names = [part for part in names if part != SCOPE]
    inputs, outputs = shapes_of(equation.invars), shapes_of(equation.outvars)
    depends = sum(flow.reaches != INDEPENDENT for flow in operands)
    own = str(equation.params.get("name", "")) if name == "name" else ""
    return Operation(
        primitive=name,
        call=calls[-1] if calls else 0,
        input_shapes=inputs,
        output_shapes=outputs,
        output_dtype=getattr(equation.outvars[0].aval, "dtype", None),
        # What does not depend on the image need not be computed for each image.
        multiply_adds=turns * _multiply_adds(name, equation.params, inputs, outputs)
        if depends
        else 0,
        depends=depends,
        reaches=results[0] if results else INDEPENDENT,
        axes=tuple(equation.params.get("axes", ())) if name.startswith("reduce_") else (),
        turns=turns,
        function=names[0] if names else "",
        inner=own_names[0] if own_names else "",
        marks=int(own.removeprefix(MARK)) if own.startswith(MARK) else None,
        sources=tuple(flow.source for flow in operands),
        variables=frozenset().union(*(flow.variables for flow in operands)),
        calls=calls,
        within=place.within,
        constants=tuple(
            float(atom.val)
            for atom in equation.invars
            if isinstance(atom, Literal) and np.ndim(atom.val) == 0 and np.isrealobj(atom.val)
        ),
        library=("", "") if own_names else _library(equation),
    )


def _library(equation: Any) -> tuple[str, str]:
    """Returns the function of `jax.nn` around an operation: some leave no name in the program."""
    frames = getattr(equation.source_info.traceback, "frames", None) or ()
    found = ("", "")
    # From the operation outwards, as far as the caller of JAX.
    for inner, outer in itertools.pairwise(frames):
        if _JAX not in inner.file_name:
            break
        if f"{_JAX}nn/" in inner.file_name:
            found = inner.function_name, f"{outer.file_name}:{outer.line_num}"
    return found


def shapes_of(atoms: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    """Returns the shapes of an equation's operands or results.

    Args:
        atoms: variables and constants of a program; a token, for example, counts as a scalar.
    """
    return tuple(tuple(getattr(atom.aval, "shape", ())) for atom in atoms)


def _multiply_adds(
    name: str,
    params: Mapping[str, Any],
    inputs: Sequence[tuple[int, ...]],
    outputs: Sequence[tuple[int, ...]],
) -> int:
    """Counts multiply-adds of a convolution or matrix product; products with padding count."""
    if name == "conv_general_dilated":
        numbers = params["dimension_numbers"]
        taps = math.prod(inputs[1]) // inputs[1][numbers.rhs_spec[0]]
        if math.prod(params["lhs_dilation"]) == 1:
            return math.prod(outputs[0]) * taps
        # Transposed: each input value meets each tap of each filter of its group once.
        filters = inputs[1][numbers.rhs_spec[0]] // params["feature_group_count"]
        window = taps // inputs[1][numbers.rhs_spec[1]]
        return math.prod(inputs[0]) * window * filters
    if name == "dot_general":
        (contract, _), _ = params["dimension_numbers"]
        return math.prod(outputs[0]) * math.prod(inputs[0][a] for a in contract)
    return 0
