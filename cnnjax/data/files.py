"""Arrays kept as files."""

import os
import tempfile
from pathlib import Path

import numpy as np


def write_aside(path: Path, array: np.ndarray) -> None:
    """Writes a .npy file in full before it gets its name, so that no reader sees half of it."""
    handle, aside = tempfile.mkstemp(dir=path.parent, suffix=".incomplete")
    with os.fdopen(handle, "wb") as file:
        np.save(file, array)
    os.replace(aside, path)
