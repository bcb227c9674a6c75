"""Dynamic loss scaling: float16 can then hold gradients far smaller than the activations."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

INITIAL_SCALE = 2.0**15
GROWTH_STEPS = 2000
"""Good steps in a row after which the scale is tried twice as large."""


class LossScale(flax.struct.PyTreeNode):
    """The factor of the loss before the backward pass, by which its gradients are divided after it.

    It moves to the largest power of two that does not make the gradients overflow: it is halved at
    each step whose gradients are not finite, and doubled after 2,000 good steps in a row
    (Micikevicius et al. 2018, section 3.2; the numbers are those of common implementations).

    Attributes:
        scale: the factor, a float32 scalar: a power of two, so that it costs no rounding.
        good_steps: steps since it was last changed, an int32 scalar.
    """

    # No shapes: tree maps also put shapes, shardings and one value per device here.
    scale: Array
    good_steps: Array

    @classmethod
    def create(cls) -> "LossScale":
        """Returns the state before the first step."""
        return cls(jnp.float32(INITIAL_SCALE), jnp.int32(0))

    def after(self, finite: Bool[Array, ""]) -> "LossScale":
        """Returns the scale after a step.

        Args:
            finite: whether all gradients of the step were finite.
        """
        good_steps = jnp.where(finite, self.good_steps + 1, 0)
        grows = good_steps >= GROWTH_STEPS
        scale = jnp.where(finite, jnp.where(grows, self.scale * 2, self.scale), self.scale / 2)
        # Below 1 the scale would only make small gradients smaller.
        return LossScale(jnp.maximum(scale, 1.0), jnp.where(grows, 0, good_steps))


def all_finite(tree: Any) -> Bool[Array, ""]:
    """Returns whether every number of a tree is finite.

    Args:
        tree: a pytree of floating-point arrays.
    """
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def choose(condition: Bool[Array, ""], yes: Any, no: Any) -> Any:
    """Returns one of two trees of the same structure.

    Args:
        condition: which one.
        yes: the tree where it is true.
        no: the tree where it is false.
    """
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
