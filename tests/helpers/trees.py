"""Comparisons of trees of arrays, leaf by leaf."""

from typing import Any

import jax
import numpy as np


def largest_difference(tree: Any, other: Any) -> float:
    """Returns the largest absolute difference of two leaves; 0 where all are equal."""
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)


def equal(tree: Any, other: Any) -> bool:
    """Returns whether all leaves have equal shapes and values."""
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)


def assert_equal(tree: Any, other: Any) -> None:
    """Asserts equal leaves of trees of one structure."""
    jax.tree.map(np.testing.assert_array_equal, tree, other)


def assert_close(tree: Any, other: Any, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Asserts leaves within NumPy's tolerances, of trees of one structure."""
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), tree, other)
