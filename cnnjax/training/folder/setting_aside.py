"""How things in a run's folder are moved out of the way, or removed, whatever they are."""

import os
import shutil
from pathlib import Path


def set_aside(path: Path) -> Path:
    """Renames a damaged file or folder to `damaged-…`, beside its place.

    Args:
        path: what is damaged.

    Returns:
        Its new path.
    """
    number = 0
    while os.path.lexists(target := path.with_name(f"damaged-{path.name}-{number}")):
        number += 1
    os.replace(path, target)
    return target


def remove(path: Path) -> None:
    """Removes a file, a link (not what it leads to), or a folder with all beneath it.

    Args:
        path: what is removed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
