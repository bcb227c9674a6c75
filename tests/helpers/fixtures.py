"""Fixtures of several folders: a folder's conftest imports those that its tests need."""

import jax
import pytest

from tests.helpers.programs import all_optimizations


@pytest.fixture(autouse=True)
def standard_promotion():
    """flax's batch norm and optax mix dtypes in their own arithmetic."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module", autouse=True)
def optimized():
    """All compiler passes: for primitives, and where running takes longer than compiling."""
    with all_optimizations():
        yield
