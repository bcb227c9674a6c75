"""From a forward and a backward function to an op: `make_op`.

Every rule written by hand needs the same care under JAX's transformations. Operands that a
`jax.shard_map` keeps whole are marked as varying, and forward mode is refused in the op's
name: `reverse_mode.py`. The rule's own forward pass is the op again, so that it can be
differentiated once more. `backward="native"` gives JAX's derivative instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from cnnjax.ops.checks import check_backward
from cnnjax.ops.reverse_mode import NATIVE, with_rule


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
        self._rule = with_rule(name, forward, backward, save)

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
        native = _is_native(within or self.name, backward)
        self._check(*operands, **settings)
        with jax.named_scope(self.name):
            return self._apply(native, within, advice, settings, operands)

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
        native = _is_native(within or self.name, backward)
        return self._apply(native, within, advice, settings, operands)

    def _apply(
        self, native: bool, within: str, advice: str, settings: dict[str, Any], operands: tuple
    ) -> Any:
        if native or jnp.ndim(operands[0]) < self._least_rank:
            return self._native(*operands, **settings)
        advice = advice or (NATIVE if within else self._advice)
        return self._rule((within or self.name, advice), settings, *operands)


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


def _is_native(op: str, backward: Any) -> bool:
    """Returns whether JAX's own derivative is wanted, and not the rule."""
    if isinstance(backward, str) and backward == "ours":
        return False
    check_backward(op, "backward", backward)
    return True
