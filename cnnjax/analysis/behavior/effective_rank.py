"""The effective rank of features: in how many directions they vary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Shaped

from cnnjax import compiler
from cnnjax.analysis.looks.activations import activations, stage_activations

ROWS = 4096
"""The most places of feature maps that a rank is computed from, by default."""


@dataclass(frozen=True)
class FeatureRank:
    """The effective rank of one layer's output.

    Attributes:
        name: the layer or stage.
        rank: effective rank of the centered outputs, from 1 to `channels`.
        channels: number of channels, the largest rank there could be.
        rows: number of vectors that it was computed from. A rank is less than `rows`.
    """

    name: str
    rank: float
    channels: int
    rows: int


def effective_rank(matrix: npt.ArrayLike) -> float:
    """Returns the effective rank of a matrix: exp of the entropy of its singular values.

    With singular values s_k and p_k = s_k / sum(s), it is exp(-sum(p_k log p_k)): n for n equal
    singular values, 1 for a matrix of rank one. The matrix is taken as it is, without centering.

    Args:
        matrix: any real matrix, [rows, columns].

    Returns:
        The effective rank, from 1 to the rank; 0 for a matrix of zeros, NaN where a value is NaN.

    Raises:
        ValueError: it has not two axes, or no elements.

    Source: Roy and Vetterli, 2007, "The effective rank: a measure of effective dimensionality",
    definition 1.

    Example:
        >>> import numpy as np
        >>> from cnnjax.analysis.behavior.effective_rank import effective_rank
        >>> round(effective_rank(np.eye(5)), 6)
        5.0
        >>> round(effective_rank(np.ones((4, 3))), 6)
        1.0
    """
    values = np.asarray(matrix, np.float64)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(
            f"effective_rank: a matrix of shape {values.shape}; give rows and columns, at least one"
        )
    if not np.isfinite(values).all():
        return float("nan")
    largest = np.abs(values).max()
    if largest == 0:
        return 0.0
    # Of a tall matrix the small Gram matrix has the same singular values, squared. Scaled, so that
    # no square overflows.
    values = values / largest
    small = values if len(values) <= values.shape[1] else values.T
    squared = np.linalg.eigvalsh(small @ small.T)
    # What is below the rounding of the largest one is not known.
    squared = squared[squared > squared[-1] * len(small) * np.finfo(np.float64).eps]
    shares = np.sqrt(squared)
    shares /= shares.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def effective_ranks(
    model: linen.Module,
    variables: Any,
    images: Shaped[ArrayLike, "batch ..."],
    *,
    names: Sequence[str] | None = None,
    rows: int = ROWS,
    **apply_arguments: Any,
) -> list[FeatureRank]:
    """Measures the effective rank of the output of each stage of a network.

    A feature map gives one vector of channels at each place of each image. The mean of each channel
    is subtracted before the singular values are computed: otherwise the mean alone, which is large
    after a ReLU, would be the first of them.

    Args:
        model: any Flax module.
        variables: its variables.
        images: network inputs; the more there are, the closer the ranks are to those of all images.
        names: the module calls to measure; None for those of `stage_activations`.
        rows: the most vectors that a rank is computed from, evenly spaced among all of them.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        One entry for each stage, from first to last.

    Raises:
        ValueError: `rows` is less than 2.
        KeyError: a name is no module call of the model; the message gives the nearest.

    Source: see `effective_rank`.
    """
    if rows < 2:
        raise ValueError(f"effective_ranks: rows {rows} were given; give 2 or more")
    order: list[str] = []

    @compiler.jit
    def sample(variables: Any, images: Any) -> list[Array]:
        outputs: Mapping[str, Array]
        if names is None:
            outputs = stage_activations(model, variables, images, **apply_arguments)
        else:
            outputs = activations(model, variables, images, names=names, **apply_arguments)
        # Kept apart, because jit returns a dict sorted by its keys.
        order[:] = outputs
        return [_vectors(output, rows) for output in outputs.values()]

    ranks = []
    sampled = jax.device_get(sample(variables, jnp.asarray(images)))
    for name, vectors in zip(order, sampled, strict=True):
        centered = np.asarray(vectors, np.float64)
        centered = centered - centered.mean(axis=0)
        ranks.append(
            FeatureRank(name, effective_rank(centered), vectors.shape[1], vectors.shape[0])
        )
    return ranks


def _vectors(output: Array, rows: int) -> Float[Array, "rows channels"]:
    """Returns evenly spaced vectors of channels, at most `rows` of them."""
    # A vector of one value for each example has one channel.
    vectors = output.reshape(-1, output.shape[-1] if output.ndim > 1 else 1)
    chosen = np.unique(
        np.linspace(0, len(vectors) - 1, min(rows, len(vectors))).round().astype(int)
    )
    return vectors[chosen].astype(jnp.float32)
