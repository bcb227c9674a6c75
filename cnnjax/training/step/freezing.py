"""Parameters that stay as they are, for good or until an epoch: their updates are zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax.contrib import ReduceLROnPlateauState

from cnnjax import patterns

_CLOCKS = (optax.ScaleByScheduleState, ReduceLROnPlateauState)
"""Parts of optimizers' states that follow the run's steps, and not the parameters."""


@dataclass(frozen=True)
class Freezing:
    """Which parameters are not trained.

    Attributes:
        rules: pairs of a pattern of `cnnjax.patterns` and whether the parameter is frozen; empty
            where none is.
        unfreeze: pairs of a pattern and the number of epochs for which a parameter that is not
            frozen stays as it is; empty where all are trained from the start.
    """

    rules: Sequence[tuple[str, bool]] = ()
    unfreeze: Sequence[tuple[str, int]] = ()

    @classmethod
    def of(
        cls, frozen: Sequence[str] | Sequence[tuple[str, bool]], unfreeze: Sequence[tuple[str, int]]
    ) -> "Freezing":
        """Returns what a run's fields of these names mean.

        Args:
            frozen: patterns of parameters that are frozen, or pairs of a pattern and whether it
                freezes.
            unfreeze: pairs of a pattern and an epoch.
        """
        rules = [(rule, True) if isinstance(rule, str) else (rule[0], rule[1]) for rule in frozen]
        # Patterns alone freeze what they match; then a last rule trains all other parameters.
        rest = [(".*", False)] if any(isinstance(rule, str) for rule in frozen) else []
        return cls((*rules, *rest), tuple(unfreeze))

    def phase(self, epoch: int) -> int:
        """Returns the epoch since which the same parameters are trained.

        Args:
            epoch: number of epochs done.
        """
        return max((start for _, start in self.unfreeze if start <= epoch), default=0)

    def frozen(self, params: Any, epoch: int = 0) -> Any:
        """Returns a tree like the parameters: True where one is not trained in an epoch.

        Args:
            params: arrays or their shapes.
            epoch: number of epochs done.
        """
        return jax.tree.map(lambda start: start > epoch, self._starts(params))

    def wrap(
        self, optimizer: optax.GradientTransformation, params: Any, epoch: int = 0
    ) -> optax.GradientTransformationExtraArgs:
        """Returns an optimizer that leaves some parameters as they are in an epoch.

        It sees the other parameters alone: a norm that it clips by is theirs, and the frozen ones
        have no state and do not decay. The parameters that are unfrozen at one epoch are a group
        with a state of its own, which is as new when they are unfrozen; only schedules go on from
        the run's first step. The structure of the state is the same in all epochs.

        Args:
            optimizer: the update rule of the others.
            params: arrays or their shapes.
            epoch: number of epochs done.

        Raises:
            ValueError: the rules leave parameters out, match none, or freeze all.
        """
        optimizer = optax.with_extra_args_support(optimizer)
        if not self.rules and not self.unfreeze:
            return optimizer
        patterns.check("frozen", self.rules, params)
        patterns.check("unfreeze", self.unfreeze, params)
        starts = self._starts(params)
        trained = sorted({start for start in jax.tree.leaves(starts) if start < _NEVER})
        # optax itself would accept this and train nothing.
        if not trained:
            raise ValueError("frozen: every parameter is frozen; leave some to train")
        if trained[0] > 0:
            raise ValueError(
                f"unfreeze: no parameter is trained before epoch {trained[0]}; give some the epoch "
                "0, from which a run starts"
            )
        waiting = _waiting(optimizer)
        groups: dict[Any, optax.GradientTransformation] = {
            _label(start): waiting if start > epoch else optimizer for start in trained
        }
        groups[_label(_NEVER)] = optax.set_to_zero()
        return optax.partition(groups, jax.tree.map(_label, starts))

    def _starts(self, params: Any) -> Any:
        """Returns a tree like the parameters: the epoch from which each is trained."""
        frozen = patterns.match(self.rules or ((".*", False),), params)
        starts = patterns.match(self.unfreeze or ((".*", 0),), params)
        return jax.tree.map(lambda never, start: _NEVER if never else start, frozen, starts)


_NEVER = 1 << 62
"""The epoch from which a parameter is trained that is frozen for good."""


def _label(start: int) -> str:
    """Returns the name of a group in the optimizer's state."""
    if start == _NEVER:
        return "frozen"
    return f"trained_from_{start}" if start else "trained"


def _waiting(
    optimizer: optax.GradientTransformationExtraArgs,
) -> optax.GradientTransformationExtraArgs:
    """Returns an optimizer that updates nothing, of whose state only the schedules move."""

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        zeros = jax.tree.map(jnp.zeros_like, updates)
        _, moved = optimizer.update(zeros, state, params, **extra)
        return zeros, _with_clocks(state, moved)

    return optax.GradientTransformationExtraArgs(optimizer.init, update)


def _with_clocks(state: Any, moved: Any) -> Any:
    """Returns an optimizer's state with its schedules as in the state after a step."""
    injected = (optax.InjectHyperparamsState, optax.InjectStatefulHyperparamsState)

    def is_clock(node: Any) -> bool:
        return isinstance(node, (*_CLOCKS, *injected))

    def choose(before: Any, after: Any) -> Any:
        if isinstance(before, injected):
            inner = _with_clocks(before.inner_state, after.inner_state)
            return after._replace(inner_state=inner)
        return after if is_clock(before) else before

    return jax.tree.map(choose, state, moved, is_leaf=is_clock)
