"""Arrays that are kept as .npy files, each with its SHA-256 in a file beside it."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cnnjax import digests
from cnnjax.data.data_folder import preparing
from cnnjax.writing import write_array, write_text

_logger = logging.getLogger(__name__)

# Files that had their digest when this process read them, by what changes with their content.
_verified: set[tuple[str, int, int, int]] = set()


def kept_arrays(
    paths: Sequence[Path], what: str, make: Callable[[], Sequence[np.ndarray]]
) -> list[np.ndarray]:
    """Returns arrays that are kept as files; they are made where one is missing or damaged.

    The digest of a file is computed once in a process, before its first use. A damaged file is
    logged, and replaced.

    Args:
        paths: the .npy files, all in one folder.
        what: what they are, such as `digits/test`, for messages.
        make: returns the arrays of all files.

    Raises:
        DataFolderError: an array had to be made, and the folder cannot be written.
    """
    kept = _read(paths)
    if isinstance(kept, list):
        return kept
    with preparing(paths[0].parent, what):
        # Another process may have made them during the wait.
        kept = _read(paths)
        if isinstance(kept, list):
            return kept
        if kept:
            _logger.warning("%s is made again: %s", what, kept)
        arrays = list(make())
        for path, array in zip(paths, arrays, strict=True):
            write_array(path, array)
            # As `sha256sum --check` reads it. Without it, the array counts as damaged.
            write_text(_digest_path(path), f"{digests.of_file(path)}  {path.name}\n")
        return arrays


def _digest_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _read(paths: Sequence[Path]) -> list[np.ndarray] | str:
    """Returns the arrays, or the first problem with them; "" where there are none yet."""
    if not all(path.exists() for path in paths):
        return ""
    try:
        problems = [problem for problem in map(_problem, paths) if problem]
        return problems[0] if problems else [np.load(path) for path in paths]
    # NumPy raises ValueError and EOFError for files of another form, such as arrays of objects.
    except (OSError, ValueError, EOFError) as error:
        return f"a file cannot be read ({error})"


def _problem(path: Path) -> str:
    """Returns how a file differs from its digest; "" where it does not."""
    state = path.stat()
    seen = (str(path), state.st_ino, state.st_size, state.st_mtime_ns)
    if seen in _verified:
        return ""
    beside = _digest_path(path)
    if not beside.exists():
        return f"{path} has no digest beside it"
    expected = beside.read_text(encoding="utf-8").partition(" ")[0]
    found = digests.of_file(path)
    if found != expected:
        return f"{path} is damaged: its SHA-256 is {found}, expected {expected}"
    _verified.add(seen)
    return ""
