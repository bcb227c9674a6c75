"""Drop-path: joins of columns that drop some of their inputs in training."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Images = Float[Array, "batch height width channels"]


class DropPath(NamedTuple):
    """The random choices of drop-path for one pass.

    Attributes:
        key: for the joins' own draws.
        local_rate: probability with which each input of a join is dropped, in a pass that drops
            locally.
        is_global: whether one column is kept in the whole network.
        column: that column.
    """

    key: jax.Array
    local_rate: float
    is_global: Array
    column: Int[Array, ""]


def join(
    inputs: list[Images], columns: list[int], paths: DropPath | None, key: jax.Array | None
) -> Images:
    """Returns the mean of the columns that meet, over those that drop-path keeps.

    Args:
        inputs: the columns' feature maps.
        columns: their numbers.
        paths: what drop-path drew for this pass, or None for a plain mean.
        key: for this join's own draws.

    Returns:
        Feature maps of the inputs' shape.

    Source: Larsson et al., 2017, equation 2 and section 3.
    """
    if len(inputs) == 1:
        return inputs[0]
    if paths is None or key is None:
        return functools.reduce(jnp.add, inputs) / len(inputs)
    # Only known at run time, so all inputs are computed, and dropped ones get the weight 0.
    keep = keep_paths(paths, jnp.array(columns), key).astype(inputs[0].dtype)
    total = functools.reduce(jnp.add, [k * x for k, x in zip(keep, inputs, strict=True)])
    return total / keep.sum()


def keep_paths(
    paths: DropPath, columns: Int[Array, "inputs"], key: jax.Array
) -> Float[Array, "inputs"]:
    """Returns 1 for each input of a join that is kept, and 0 for the others; one is kept always.

    Args:
        paths: what drop-path drew for this pass.
        columns: the numbers of the columns that meet.
        key: for this join's own draws.
    """
    drop, survive = jax.random.split(key)
    keep = jax.random.bernoulli(drop, 1.0 - paths.local_rate, columns.shape)
    survivor = jax.random.randint(survive, (), 0, columns.size) == jnp.arange(columns.size)
    # A join that dropped all its inputs would cut the network in two.
    local = jnp.where(keep.any(), keep, survivor)
    chosen = columns == paths.column
    # A join without the kept column does not reach the output. It keeps all its inputs, since a
    # join that keeps none divides by 0.
    globally = jnp.where(chosen.any(), chosen, True)
    return jnp.where(paths.is_global, globally, local).astype(jnp.float32)
