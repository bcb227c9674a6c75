"""Fixtures of several folders: a folder's conftest imports those that its tests need."""

import jax
import pytest


@pytest.fixture(autouse=True)
def standard_promotion():
    """flax's batch norm and optax mix dtypes in their own arithmetic."""
    with jax.numpy_dtype_promotion("standard"):
        yield
