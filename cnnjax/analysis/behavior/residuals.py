"""How much each residual block changes its input: ||F(x)|| / ||x||, in any Flax model.

The blocks are found in the traced program, so that it does not matter how the model is written. A
block is a sum of two arrays of one shape that depend on the input. One of them, F(x), has passed
through convolutions or matrix products that the other has not; the other is the shortcut x, which
has passed through fewer of its own, at most one: a projection, whose kernel is 1x1. So the joins of
a FractalNet, whose shortest column is a 3x3 convolution, are no residual blocks.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
from jax.extend.core import (
    ClosedJaxpr,  # pyright: ignore[reportPrivateImportUsage] (JAX 0.12 does not list it)
    Jaxpr,
    Literal,
)
from jax.typing import ArrayLike
from jaxtyping import Array, Shaped

from cnnjax import compiler
from cnnjax.analysis.calls import ModuleCall, evaluation_arguments, observe_calls
from cnnjax.analysis.cost.operations import MARK

# Operations whose inner program is a part of the model's own. An op with a backward rule of ours is
# one operation: the sums inside of a convolution are not blocks.
_INLINED = frozenset({"jit", "pjit", "closed_call", "custom_jvp_call", "checkpoint", "remat2"})
_PRODUCTS = frozenset({"conv_general_dilated", "dot_general"})


@dataclass(frozen=True)
class ResidualBlock:
    """What a residual block adds, beside what its shortcut carries.

    Attributes:
        name: the module call that adds them; a second sum in one call gets an apostrophe. A sum of
            the model itself is named after the call before it, "sum after conv2".
        branch: root mean square of F(x).
        shortcut: root mean square of x as it is added: after the projection, where there is one.
        ratio: ||F(x)|| / ||x|| over all values of the batch, which is `branch / shortcut`.
    """

    name: str
    branch: float
    shortcut: float
    ratio: float


class _Known(NamedTuple):
    """A value of the program: what it is, and the products that it has passed through.

    Attributes:
        value: the array.
        products: numbers of the products before it; None if it does not depend on the input.
    """

    value: Any
    products: frozenset[int] | None


def residual_blocks(
    model: linen.Module,
    variables: Any,
    images: Shaped[ArrayLike, "batch ..."],
    **apply_arguments: Any,
) -> list[ResidualBlock]:
    """Measures the two sides of the sum of every residual block, from first to last.

    Blocks inside of loops (`flax.linen.scan`) are not found.

    Args:
        model: any Flax module.
        variables: its variables.
        images: network inputs.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        One entry for each block; none for a network without shortcuts, or whose branches are
        concatenated.

    Source: He et al., 2015, equation 1; that F is small beside x in deep networks: section 4.2,
    figure 7, by its standard deviation.

    Example:
        >>> import flax.linen as linen
        >>> import jax
        >>> from cnnjax.analysis.behavior.residuals import residual_blocks
        >>> class Block(linen.Module):
        ...     @linen.compact
        ...     def __call__(self, x):
        ...         return x + linen.Dense(4)(linen.relu(linen.Dense(4)(x)))
        >>> model = linen.Sequential([Block(), Block()])
        >>> x = jax.random.normal(jax.random.key(0), (16, 4))
        >>> variables = model.init(jax.random.key(1), x)
        >>> [block.name for block in residual_blocks(model, variables, x)]
        ['layers_0', 'layers_1']
    """
    names: list[str] = []

    @compiler.jit
    def measure(variables: Any, images: Any) -> list[tuple[Array, Array]]:
        program, calls = _marked_program(model, variables, images, apply_arguments)
        leaves = jax.tree.leaves(variables)
        # The input's products are none so far; what depends on parameters alone has None.
        inputs = [_Known(leaf, None) for leaf in leaves]
        inputs += [_Known(leaf, frozenset()) for leaf in jax.tree.leaves(images)]
        found: list[tuple[tuple[int, int], Array, Array]] = []
        _Reader(found, [], [0]).run(program.jaxpr, list(program.consts), inputs, "")
        names[:] = _distinct(_name(calls, *marks) for marks, *_ in found)
        return [(_size(branch), _size(shortcut)) for _, branch, shortcut in found]

    measured = jax.device_get(measure(variables, jnp.asarray(images)))
    return [
        ResidualBlock(name, float(f), float(x), float(f) / float(x) if x else math.inf)
        for name, (f, x) in zip(names, measured, strict=True)
    ]


def _marked_program(
    model: linen.Module, variables: Any, images: Any, apply_arguments: Mapping[str, Any]
) -> tuple[ClosedJaxpr, Sequence[ModuleCall]]:
    """Returns the model as a program whose scopes name the calls by number, and the calls."""
    arguments = evaluation_arguments(model, apply_arguments)
    count = 0

    def around(call: ModuleCall, module: linen.Module, inputs: tuple[Any, ...], proceed) -> Any:
        nonlocal count
        count += 1
        # The scope marks each operation with the call that it belongs to.
        with jax.named_scope(f"{MARK}{count - 1}"):
            return proceed()

    with observe_calls(around) as calls:
        program = jax.make_jaxpr(lambda v, x: model.apply(v, x, **arguments))(variables, images)
    return program, calls


def _size(x: Array) -> Array:
    # In half precision the squares overflow early.
    return jnp.sqrt((x.astype(jnp.float32) ** 2).mean())


def _name(calls: Sequence[ModuleCall], call: int, before: int) -> str:
    return calls[call].name or f"sum after {calls[before].name}"


def _distinct(names: Any) -> list[str]:
    """Returns the names, with apostrophes after those that have come before."""
    taken: list[str] = []
    for name in names:
        while name in taken:
            name += "'"
        taken.append(name)
    return taken


@dataclass(frozen=True)
class _Reader:
    """Runs a program and finds its residual blocks.

    Attributes:
        found: the blocks: the numbers of the call and of the last one before it, F(x) and x.
        projections: whether each product so far has a kernel of 1x1, or is a matrix product.
        before: the number of the last call so far that is not the model itself, its only element.
    """

    found: list[tuple[tuple[int, int], Array, Array]]
    projections: list[bool]
    before: list[int]

    def run(
        self, program: Jaxpr, constants: list[Any], inputs: list[_Known], scope: str
    ) -> list[_Known]:
        """Returns the program's results."""
        known: dict[Any, _Known] = dict(zip(program.invars, inputs, strict=True))
        for variable, constant in zip(program.constvars, constants, strict=True):
            known[variable] = _Known(constant, None)

        def known_of(atom: Any) -> _Known:
            return _Known(atom.val, None) if isinstance(atom, Literal) else known[atom]

        for equation in program.eqns:
            operands = [known_of(atom) for atom in equation.invars]
            inner_scope = f"{scope}/{equation.source_info.name_stack}"
            inner = _inner_program(equation)
            if inner is not None:
                results = self.run(inner[0], inner[1], operands, inner_scope)
            else:
                results = self._one(equation, operands, inner_scope)
            known.update(zip(equation.outvars, results, strict=True))
        return [known_of(atom) for atom in program.outvars]

    def _one(self, equation: Any, operands: list[_Known], scope: str) -> list[_Known]:
        """Returns the results of one operation, and notes the block that it ends."""
        values = [operand.value for operand in operands]
        # An equation holds inner programs in another form than `bind` takes them.
        params = equation.primitive.get_bind_params(equation.params)
        bound = equation.primitive.bind(*values, **params)
        before = [o.products for o in operands if o.products is not None]
        products = frozenset[int]().union(*before) if before else None
        if products is not None and _has_product(equation):
            products |= {len(self.projections)}
            self.projections.append(_is_projection(equation, operands))
        marks = re.findall(rf"{MARK}(\d+)", scope)
        call = int(marks[-1]) if marks else 0
        if equation.primitive.name in ("add", "add_any") and len(before) == 2:
            self._note(operands, call)
        self.before[0] = call or self.before[0]
        results = bound if equation.primitive.multiple_results else [bound]
        return [_Known(result, products) for result in results]

    def _note(self, operands: list[_Known], call: int) -> None:
        """Notes a sum whose sides are a branch and its shortcut."""
        (a, of_a), (b, of_b) = operands
        if of_a is None or of_b is None or a.shape != b.shape:
            return
        own_a, own_b = len(of_a - of_b), len(of_b - of_a)
        if own_a == own_b or min(own_a, own_b) > 1:
            return
        branch, shortcut = (a, b) if own_a > own_b else (b, a)
        own = of_b - of_a if own_a > own_b else of_a - of_b
        if not all(self.projections[product] for product in own):
            return
        self.found.append(((call, self.before[0]), branch, shortcut))


def _inner_program(equation: Any) -> tuple[Jaxpr, list[Any]] | None:
    """Returns the inner program of an operation that is a part of the model, and its constants."""
    if equation.primitive.name not in _INLINED:
        return None
    inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
    if isinstance(inner, ClosedJaxpr):
        return inner.jaxpr, list(inner.consts)
    return (inner, []) if isinstance(inner, Jaxpr) else None


def _is_projection(equation: Any, operands: list[_Known]) -> bool:
    """Returns whether a product combines the channels of one place at a time."""
    for atom, operand in zip(equation.invars, operands, strict=True):
        shape = tuple(getattr(atom.aval, "shape", ()))
        if operand.products is not None or len(shape) < 3:
            continue
        numbers = equation.params.get("dimension_numbers")
        # Kernels of our own ops end with input and output channels.
        spec = getattr(numbers, "rhs_spec", (len(shape) - 1, len(shape) - 2))
        if math.prod(n for axis, n in enumerate(shape) if axis not in spec[:2]) > 1:
            return False
    return True


def _has_product(equation: Any) -> bool:
    """Returns whether an operation is, or contains, a convolution or a matrix product."""
    if equation.primitive.name in _PRODUCTS:
        return True
    return any(
        _has_product(inner)
        for value in equation.params.values()
        for program in (value if isinstance(value, tuple | list) else (value,))
        if isinstance(program, ClosedJaxpr | Jaxpr)
        for inner in (program.jaxpr if isinstance(program, ClosedJaxpr) else program).eqns
    )
