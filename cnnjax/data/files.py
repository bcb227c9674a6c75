"""Arrays kept as files."""

import os
import tempfile
from pathlib import Path

import numpy as np


def write_atomically(path: Path, array: np.ndarray) -> None:
    """Writes a .npy file under another name and then renames it, so that no reader sees half of it.

    Args:
        path: the file.
        array: its content.
    """
    # In the same folder: a file can be renamed in one step only within a file system.
    handle, incomplete = tempfile.mkstemp(dir=path.parent, suffix=".incomplete")
    with os.fdopen(handle, "wb") as file:
        np.save(file, array)
    os.replace(incomplete, path)
