import os

import pytest


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """What the processes inherit: a data folder of their own."""
    return {**os.environ, "TFDS_DATA_DIR": str(tmp_path_factory.mktemp("tfds"))}
