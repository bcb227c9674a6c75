"""From a forward and a backward function to an op: `make_op`.

Every rule written by hand needs the same care under JAX's transformations. Operands that a
`jax.shard_map` keeps whole are marked as varying (`align_varying`). Forward mode is refused in the
op's name (`reverse_mode.py`). The rule's own forward pass is the op again, so that it can be
differentiated once more. `backward="native"` gives JAX's derivative instead.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops.checks import given
from cnnjax.ops.reverse_mode import NATIVE, reverse_mode_only


class Op:
    """A function of arrays with a backward rule of its own; `make_op` makes it.

    Attributes:
        name: the op in messages, and its named scope in compiled programs.
    """

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        check: Callable[..., None],
        save: Callable[..., tuple[Any, Any]],
        native: Callable[..., Any],
        least_rank: int,
        advice: str,
    ):
        self.name = name
        self._check, self._native, self._least_rank = check, native, least_rank
        self._advice = advice
        self._rule = _with_rule(name, forward, backward, save)

    def __call__(
        self,
        *operands: jax.Array,
        backward: str = "ours",
        within: str = "",
        advice: str = "",
        **settings: Any,
    ) -> Any:
        """Returns the checked op of its operands, in its named scope.

        Args:
            *operands: arrays; it can be differentiated with respect to the floating ones.
            backward: "ours" for the rule, "native" for JAX's own derivative.
            within: the public function that messages name; by default the op.
            advice: what to do in forward mode, which the rule refuses. By default what the op
                offers; `backward="native"` if `within` names another function.
            **settings: hashable values, passed to each of the op's functions.

        Raises:
            ValueError: `backward` is neither "ours" nor "native". Whatever the op's check raises.
        """
        check_backward(within or self.name, backward)
        self._check(*operands, **settings)
        with jax.named_scope(self.name):
            return self.apply(
                *operands, backward=backward, within=within, advice=advice, **settings
            )

    def apply(
        self,
        *operands: jax.Array,
        backward: str = "ours",
        within: str = "",
        advice: str = "",
        **settings: Any,
    ) -> Any:
        """Returns the op as a part of another, which has checked the operands and has its scope.

        Args:
            *operands: arrays.
            backward: as when the op is called.
            within: as when the op is called.
            advice: as when the op is called.
            **settings: as when the op is called.

        Raises:
            ValueError: `backward` is neither "ours" nor "native".
        """
        name = within or self.name
        check_backward(name, backward)
        if backward == "native" or jnp.ndim(operands[0]) < self._least_rank:
            return self._native(*operands, **settings)
        advice = advice or (NATIVE if within else self._advice)
        marked = reverse_mode_only(name, advice, *align_varying(*operands))
        return self._rule((name, advice), tuple(settings.items()), *marked)


def make_op(
    name: str,
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *,
    check: Callable[..., None] = lambda *operands, **settings: None,
    save: Callable[..., tuple[Any, Any]] = lambda op, *operands, **settings: (
        op(*operands),
        operands,
    ),
    native: Callable[..., Any] | None = None,
    least_rank: int = 0,
    advice: str = NATIVE,
) -> Op:
    """Returns the op that computes `forward` and differentiates it by `backward`.

    An op contains the mathematics. A documented function with named arguments calls it:

    >>> import jax, jax.numpy as jnp
    >>> def check(x, *, factor):
    ...     if factor <= 0:
    ...         raise ValueError(f"cube: factor must be positive, got {factor!r}")
    >>> def forward(x, *, factor):
    ...     return factor * x**3
    >>> def backward(saved, grad, *, factor):
    ...     (x,) = saved
    ...     return (3 * factor * x**2 * grad,)
    >>> cube = make_op("cube", forward, backward, check=check)
    >>> cube(jnp.array([1.0, 2.0]), factor=2)
    Array([ 2., 16.], dtype=float32)
    >>> jax.grad(lambda x: cube(x, factor=2).sum())(jnp.array([1.0, 2.0]))
    Array([ 6., 24.], dtype=float32)
    >>> jax.jvp(lambda x: cube(x, factor=2, backward="native"), (jnp.ones(2),), (jnp.ones(2),))
    (Array([2., 2.], dtype=float32), Array([6., 6.], dtype=float32))
    >>> cube(jnp.ones(2), factor=0)
    Traceback (most recent call last):
    ValueError: cube: factor must be positive, got 0

    Args:
        name: of the op, in messages and in compiled programs.
        forward: maps the operands, and the settings by keyword, to the result.
        backward: maps what was saved, the gradient of the result, and the settings by keyword, to a
            gradient for each operand; None for one of integers.
        check: called with the operands and the settings; raises an error that names `name`.
        save: maps the op itself, its operands, and the settings by keyword, to the result and what
            `backward` reads; by default the result is `op(*operands)`, and the operands are saved.
            A result computed in another way is differentiated a second time without the rule.
        native: `forward` in a form that JAX can differentiate in either mode; by default `forward`.
        least_rank: axes that the first operand needs for the rule to apply; with fewer, such as
            those of a single example that leaves nothing to sum over, the derivative is JAX's own.
        advice: what to do in forward mode, which the rule refuses; for ops whose public function
            has no argument `backward`.
    """
    return Op(name, forward, backward, check, save, native or forward, least_rank, advice)


def check_backward(op: str, backward: str) -> None:
    """Raises a ValueError unless `backward` is "ours" or "native".

    Args:
        op: the calling function, for the message.
        backward: the argument to check.
    """
    # An array would be compared element by element.
    if not isinstance(backward, str) or backward not in ("ours", "native"):
        raise ValueError(f"{op}: backward must be 'ours' or 'native', got {given(backward)}")


def align_varying(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Returns the arrays, all marked as varying over the mesh axes that any of them varies over.

    Under `jax.shard_map` a replicated operand must be marked before a custom rule: the mark's own
    transpose is the sum of its gradient over those axes. Elsewhere nothing is done.

    Args:
        *arrays: the operands of one op.
    """
    varying = [_varying_axes(a) for a in arrays]
    every = frozenset().union(*varying)
    return tuple(
        lax.pcast(a, tuple(sorted(every - own)), to="varying") if every - own else a
        for a, own in zip(arrays, varying, strict=True)
    )


def _varying_axes(x: jax.Array) -> frozenset[str]:
    # JAX moved the set from `vma` to `manual_axis_type.varying`.
    aval = jax.typeof(x)
    manual = getattr(aval, "manual_axis_type", None)
    return frozenset(getattr(aval, "vma", ()) if manual is None else manual.varying)


def _with_rule(
    name: str,
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    save: Callable[..., tuple[Any, Any]],
) -> Callable[..., Any]:
    """Returns the `custom_vjp` of ((name, advice) for messages, settings as items, *operands)."""

    def compute(messages: tuple, settings: tuple, *operands: jax.Array) -> Any:
        del messages
        return forward(*operands, **dict(settings))

    def forward_rule(messages: tuple, settings: tuple, *operands: jax.Array) -> tuple[Any, Any]:
        again = functools.partial(rule, messages, settings)
        return save(again, *operands, **dict(settings))

    def backward_rule(messages: tuple, settings: tuple, saved: Any, grad: Any) -> Any:
        del messages
        return backward(saved, grad, **dict(settings))

    # Jaxprs and profiles show the name of the innermost of functions that wrap each other.
    inspect.unwrap(compute).__name__ = name
    rule = jax.custom_vjp(compute, nondiff_argnums=(0, 1))
    rule.defvjp(forward_rule, backward_rule)
    return rule
