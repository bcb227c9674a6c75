"""Parameters that stay as they are: their updates are zero, and they have no optimizer state."""

from collections.abc import Sequence
from typing import Any

import jax
import optax

from cnnjax import patterns


def freeze(
    optimizer: optax.GradientTransformation, rules: Sequence[tuple[str, bool]], params: Any
) -> optax.GradientTransformationExtraArgs:
    """Returns an optimizer that leaves some parameters as they are.

    It sees the other parameters alone: a norm that it clips by is theirs, and the frozen ones have
    no state and do not decay.

    Args:
        optimizer: the update rule of the others.
        rules: pairs of a pattern of `cnnjax.patterns` and whether the parameter is frozen; without
            rules the optimizer is returned as it is.
        params: arrays or their shapes.

    Raises:
        ValueError: the rules leave parameters out, match none, or freeze all.
    """
    optimizer = optax.with_extra_args_support(optimizer)
    if not rules:
        return optimizer
    patterns.check("frozen", rules, params)
    labels = patterns.match(
        [(pattern, "frozen" if frozen else "trained") for pattern, frozen in rules], params
    )
    # optax itself would accept this and train nothing.
    if "trained" not in jax.tree.leaves(labels):
        raise ValueError("frozen: every parameter is frozen; leave some to train")
    return optax.partition({"trained": optimizer, "frozen": optax.set_to_zero()}, labels)
