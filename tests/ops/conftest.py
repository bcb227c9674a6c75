import os

import pytest

from tests.helpers.programs import compile_quickly


@pytest.fixture(scope="package", autouse=True)
def all_optimizations():
    """The primitives are compiled as their users compile them, unless a test asks otherwise."""
    compile_quickly(False)
    yield
    compile_quickly(os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] != "0")
