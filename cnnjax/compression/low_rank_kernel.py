"""The kernel of low rank that is nearest to a convolution's kernel, and its error."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from cnnjax.nn.low_rank_conv import check_rank


class LowRankKernel(NamedTuple):
    """The nearest kernel of a rank.

    Attributes:
        column: (height, 1, channels, rank).
        row: (1, width, rank, filters).
        error: the Frobenius norm of what is left out over that of the kernel.
        filter_errors: the same for each filter alone.
    """

    column: Float[np.ndarray, "height 1 channels rank"]
    row: Float[np.ndarray, "1 width rank filters"]
    error: float
    filter_errors: Float[np.ndarray, " filters"]


def low_rank_kernel(
    kernel: Float[np.ndarray | jax.Array, "height width channels filters"], rank: int
) -> LowRankKernel:
    """Returns the columns and rows whose sum of products is nearest to a kernel.

    The kernel as a matrix M of (height, channels) by (width, filters) is Σ σ_i u_i v_iᵀ. The first
    `rank` terms are the nearest matrix of that rank, at a distance √(σ²_{rank+1} + …) (Eckart and
    Young, 1936). Each u_i is a column of taps, each v_i a row.

    Args:
        kernel: of a convolution without groups.
        rank: number of terms, at most the smaller side of M.

    Raises:
        ValueError: the rank is less than 1, or more than the kernel has.

    Example:
        >>> import numpy as np
        >>> from cnnjax import compression
        >>> kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 4))
        >>> compression.low_rank_kernel(kernel, 6).error < 1e-12  # 3 * 2 is the full rank
        True

    Source: Jaderberg et al., 2014, section 2, scheme 2; Tai et al., 2016 ("Convolutional neural
    networks with low-rank regularization"), theorem 1.
    """
    whole = np.asarray(kernel, np.float64)
    height, width, channels, filters = whole.shape
    matrix = whole.transpose(0, 2, 1, 3).reshape(height * channels, width * filters)
    check_rank(rank)
    if rank > min(matrix.shape):
        raise ValueError(
            f"rank: {rank} was given, but a kernel of {whole.shape} has at most "
            f"{min(matrix.shape)}; give less"
        )
    u, values, v = np.linalg.svd(matrix, full_matrices=False)
    scale = np.sqrt(values[:rank])
    column, row = u[:, :rank] * scale, v[:rank] * scale[:, None]
    left = (matrix - column @ row).reshape(height, channels, width, filters)
    return LowRankKernel(
        column.reshape(height, 1, channels, rank),
        row.reshape(rank, width, filters).transpose(1, 0, 2)[None],
        float(np.linalg.norm(values[rank:]) / _or_one(np.linalg.norm(values))),
        _norms(left) / _or_one(_norms(whole)),
    )


def _norms(array: np.ndarray) -> np.ndarray:
    """Returns the norm of each filter, the last axis."""
    return np.linalg.norm(array.reshape(-1, array.shape[-1]), axis=0)


def _or_one(norm: Any) -> Any:
    # A kernel of zeros is exact, not undefined.
    return np.where(norm == 0, 1, norm)


def cheaper_rank(kernel: np.ndarray) -> float:
    """Returns the rank from which the two convolutions have no fewer weights than the kernel.

    Args:
        kernel: of a convolution.
    """
    height, width, channels, filters = kernel.shape
    return height * width * channels * filters / (height * channels + width * filters)


def rank_within(kernel: np.ndarray, error: float) -> int:
    """Returns the smallest rank whose relative error is at most `error`.

    Args:
        kernel: of a convolution.
        error: the Frobenius norm of what is left out over that of the kernel.
    """
    height, width, channels, filters = kernel.shape
    matrix = kernel.astype(np.float64).transpose(0, 2, 1, 3)
    values = np.linalg.svd(matrix.reshape(height * channels, width * filters), compute_uv=False)
    # What is left out from each rank on.
    left = np.sqrt(np.cumsum(values[::-1] ** 2)[::-1])
    within = np.append(left, 0.0) <= error * left[0]
    return max(1, int(np.argmax(within)))
