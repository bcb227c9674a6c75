import os

import pytest


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """What the processes inherit: a data folder and a compilation cache of their own."""
    folder = tmp_path_factory.mktemp("shared")
    return {
        **os.environ,
        "TFDS_DATA_DIR": str(folder / "tfds"),
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
