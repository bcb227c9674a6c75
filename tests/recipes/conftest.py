import jax
import pytest


@pytest.fixture(autouse=True)
def standard_promotion():
    """optax mixes dtypes in its own arithmetic."""
    with jax.numpy_dtype_promotion("standard"):
        yield
