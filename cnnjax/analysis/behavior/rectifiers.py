"""Finds the ReLUs of any Flax model, and runs the model with another function in their place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jax import ad_checkpoint
from jax.extend.core import (
    ClosedJaxpr,  # pyright: ignore[reportPrivateImportUsage] (JAX 0.12 does not list it)
    Jaxpr,
    Literal,
)
from jaxtyping import Array, Bool

from cnnjax import compiler
from cnnjax.analysis.batches import in_batches
from cnnjax.analysis.calls import ModuleCall, check_names, evaluation_arguments, observe_calls

_DONE = "done:"
# Operations whose inner program is run as a part of the outer one.
_INLINED = frozenset({"jit", "pjit", "closed_call", "custom_jvp_call"})


def run_with_rectifiers(
    model: linen.Module,
    variables: Any,
    images: Any,
    rectify: Callable[[str, Array], Array],
    *,
    layer: str = "",
    **apply_arguments: Any,
) -> Array:
    """Applies a model with a given function in the place of every max(x, 0).

    ReLUs inside of loops (`flax.linen.scan`) and other custom rules are left as they are, and so is
    max(E[x²] - E[x]², 0), the variance in a norm.

    Args:
        model: any Flax module.
        variables: its variables.
        images: its input.
        rectify: called with the name of the module call that ended last, such as "conv1", and with
            x; returns what replaces max(x, 0).
        layer: the module call whose output is returned; "" is the model itself.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The output.

    Raises:
        KeyError: there is no such layer; the message gives the nearest.
    """
    arguments = evaluation_arguments(model, apply_arguments)
    outputs: dict[str, Any] = {}

    def around(call: ModuleCall, module: linen.Module, inputs: tuple[Any, ...], proceed) -> Any:
        output = proceed()
        if isinstance(output, jax.Array):
            # A name is kept by tracing, and marks in the program where the call ends.
            output = ad_checkpoint.checkpoint_name(output, _DONE + call.name)
        outputs[call.name] = output
        return output

    def traced(images: Any) -> Any:
        with observe_calls(around):
            model.apply(variables, images, **arguments)
        check_names([layer], list(outputs), f"layer of {type(model).__name__}")
        return outputs[layer]

    # Read as a program, so that a ReLU is found however the model is written.
    program = jax.make_jaxpr(traced)(images)
    last = [""]
    return _run(program.jaxpr, list(program.consts), [images], rectify, last)[0]


def _run(
    program: Jaxpr,
    constants: list[Any],
    inputs: list[Any],
    rectify: Callable[[str, Array], Array],
    last: list[str],
) -> list[Any]:
    """Runs a program with its ReLUs replaced; `last` holds the module call that ended last."""
    known: dict[Any, Any] = dict(zip(program.constvars, constants, strict=True))
    known.update(zip(program.invars, inputs, strict=True))

    def value_of(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    makers = {v: equation for equation in program.eqns for v in equation.outvars}
    for equation in program.eqns:
        values = [value_of(atom) for atom in equation.invars]
        name, params = equation.primitive.name, equation.params
        inner = params.get("jaxpr", params.get("call_jaxpr"))
        if name == "name" and params["name"].startswith(_DONE):
            last[0] = params["name"].removeprefix(_DONE)
        rectified = _rectifier_operand(equation.invars) if name == "max" else None
        if rectified is not None and not _is_variance(rectified, makers):
            results = [rectify(last[0], value_of(rectified))]
        elif name in _INLINED and isinstance(inner, ClosedJaxpr):
            results = _run(inner.jaxpr, list(inner.consts), values, rectify, last)
        else:
            # An equation holds inner programs in another form than `bind` takes them.
            params = equation.primitive.get_bind_params(params)
            bound = equation.primitive.bind(*values, **params)
            results = bound if equation.primitive.multiple_results else [bound]
        known.update(zip(equation.outvars, results, strict=True))
    return [value_of(atom) for atom in program.outvars]


def _rectifier_operand(operands: list[Any]) -> Any:
    """Returns the x of max(x, 0); None for other maxima."""
    # The 0 may be the first or the second operand.
    for zero, other in (operands, reversed(operands)):
        if isinstance(zero, Literal) and jnp.ndim(zero.val) == 0 and zero.val == 0:
            return other
    return None


def _is_variance(operand: Any, makers: Mapping[Any, Any]) -> bool:
    """Returns whether a value is the E[x²] - E[x]² of a norm, which rounding can make negative."""
    difference = None if isinstance(operand, Literal) else makers.get(operand)
    if difference is None or difference.primitive.name != "sub":
        return False
    subtracted = difference.invars[1]
    square = None if isinstance(subtracted, Literal) else makers.get(subtracted)
    return square is not None and square.primitive.name in ("square", "integer_pow")


@dataclass(frozen=True)
class RectifierUse:
    """What a ReLU does to some images.

    Attributes:
        dead: [channels], whether each unit is 0 for all images, at all places.
        zeros: share of zeros in the ReLU's output.
    """

    dead: Bool[np.ndarray, "channels"]
    zeros: float


def rectifier_uses(
    model: linen.Module, variables: Any, images: Any, **apply_arguments: Any
) -> dict[str, RectifierUse]:
    """Finds the units of each ReLU that are 0 for all images, and its share of zeros.

    Args:
        model: any Flax module whose nonlinearity is max(x, 0).
        variables: its variables.
        images: its input; enough images that a unit which is 0 for all of them may be called dead.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        Name to use, in the order of computation. A ReLU is named after the module call that ended
        before it.

    Source: Maas, Hannun and Ng, 2013, section 1 (dead units); Glorot, Bordes and Bengio, 2011,
    section 3.1 (sparsity: half of the units are off at the start).
    """
    order: list[str] = []

    @compiler.jit
    def measure(variables: Any, images: Any) -> list[tuple[Array, Array]]:
        """Whether each unit of each ReLU is on anywhere, and the share of zeros, by image."""
        found: dict[str, tuple[Array, Array]] = {}

        def rectify(layer: str, x: Array) -> Array:
            name = layer
            # Two ReLUs after one module call have one name.
            while name in found:
                name += "'"
            on = (x > 0).any(axis=tuple(range(1, x.ndim - 1)))
            found[name] = on, (x <= 0).mean(axis=tuple(range(1, x.ndim)))
            return jnp.maximum(x, 0)

        run_with_rectifiers(model, variables, images, rectify, **apply_arguments)
        # Kept apart, because jit returns a dict sorted by its keys.
        order[:] = found
        return list(found.values())

    measured = in_batches(lambda images: measure(variables, images), images)
    return {
        name: RectifierUse(~on.any(axis=0), float(zeros.mean()))
        for name, (on, zeros) in zip(order, measured, strict=True)
    }


def dead_units(
    model: linen.Module, variables: Any, images: Any, **apply_arguments: Any
) -> dict[str, Bool[np.ndarray, "_"]]:
    """Finds the units of each ReLU that are 0 for all images, at all places.

    Args:
        model: see `rectifier_uses`.
        variables: its variables.
        images: its input.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        Name to boolean array [channels], as in `rectifier_uses`.
    """
    uses = rectifier_uses(model, variables, images, **apply_arguments)
    return {name: use.dead for name, use in uses.items()}


def sparsity(
    model: linen.Module, variables: Any, images: Any, **apply_arguments: Any
) -> dict[str, float]:
    """Measures the share of zeros in the output of each ReLU.

    Args:
        model: see `rectifier_uses`.
        variables: its variables.
        images: its input.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        Name to share, as in `rectifier_uses`.
    """
    uses = rectifier_uses(model, variables, images, **apply_arguments)
    return {name: use.zeros for name, use in uses.items()}
