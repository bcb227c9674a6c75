"""Sums over examples, which add up over batches, devices and hosts."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

Batch = Mapping[str, Any]
"""The parts of the first stream by name, with `weight` [batch]; other streams under their names."""

Sums = dict[str, Array]
"""Arrays that add up over parts of a batch, batches, devices and hosts."""

Rows = dict[str, Array]
"""Arrays with one row per example."""


def weighted_sums(values: Mapping[str, Array], batch: Batch) -> Sums:
    """Returns the sum of the weights as `weight`, and weighted sums of numbers by example.

    Args:
        values: numbers [batch] by name.
        batch: gives the weights: 0 for an example that fills up the batch, whose numbers may be
            NaN.

    Raises:
        ValueError: something else than one number for each example.
    """
    weight = batch["weight"]
    sums = {"weight": weight.sum()}
    for name, numbers in values.items():
        shape = getattr(numbers, "shape", None)
        if shape != weight.shape:
            given = type(numbers).__name__ if shape is None else f"the shape {list(shape)}"
            raise ValueError(
                f"{name}: {given} was given for {weight.shape[0]} examples; give one number for "
                f"each, in an array of the shape {list(weight.shape)}"
            )
        own = weight.astype(numbers.dtype)
        # A plain product would let one infinite number of weight 0 make the sum NaN.
        sums[name] = jnp.where(own > 0, own * numbers, 0).sum()
    return sums


def mean_share(total: Array, weight: Array) -> Array:
    """Returns a part's share of a batch's weighted mean: the shares of all parts add up to it.

    Args:
        total: the weighted sum over the part.
        weight: the sum of the whole batch's weights. Where it is 0 the mean is 0, not 0 / 0.
    """
    return total / jnp.maximum(weight, 1).astype(total.dtype)
