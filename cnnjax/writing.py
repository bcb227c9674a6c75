"""Files that get their name only once they are whole and on the disk.

A file is written aside, beside its place, and then renamed: a reader meets the old content or the
new one, never half of either, also where the process is killed or the disk runs full.
"""

import codecs
import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Returns escapes for what cannot be encoded, and where the encoding goes on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    escapes = [
        # Python reads a byte of a file name that is not UTF-8 as such a character.
        f"\\x{ord(character) - 0xDC00:02x}"
        if "\udc80" <= character <= "\udcff"
        else character.encode("ascii", "backslashreplace").decode("ascii")
        for character in error.object[error.start : error.end]
    ]
    return "".join(escapes), error.end


ESCAPES = "cnnjax.escapes"
"""The handler of errors with which any text is encoded: what an encoding lacks is escaped."""
codecs.register_error(ESCAPES, _escaped)


def printable(name: str | os.PathLike[str]) -> str:
    r"""Returns a name or path as text in which bytes that are not UTF-8 are written as `\xe9`.

    Python reads such bytes as surrogates, which can be neither printed nor written to a file.

    Args:
        name: a name or path, as Python's functions for folders return it.
    """
    return os.fspath(name).encode("utf-8", ESCAPES).decode("utf-8")


@contextlib.contextmanager
def aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields an empty file beside a path, which takes its place when the block ends well.

    Where the block raises, the file is removed and what was at the path stays.

    Args:
        path: the file to write; its folder exists.

    Yields:
        The path of the new file, to be opened by name and written.

    Raises:
        FileExistsError: a device, a pipe or a socket is at the path, or a link leads to one. With a
            root's rights, the rename would put a file in the place of `/dev/null`.
    """
    path = Path(path)
    _refuse_devices(path)
    # A link cannot be planted at a random name, and exclusive creation follows no link.
    # Of a long name only a part, because names are limited to 255 bytes.
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.incomplete")
    # Unlike tempfile's, these permissions are the usual ones: the umask takes its part away.
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield temporary
        flush(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # The new name is in the folder, which has to get to the disk too. Some file systems cannot
    # flush folders, and some folders cannot be read: the file is whole all the same.
    with contextlib.suppress(OSError):
        flush(path.parent)


def _refuse_devices(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    # A loop of links is replaced, as other links are.
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise FileExistsError(
            errno.EEXIST, "it is a device, a pipe or a socket; give the name of a file", str(path)
        )


def write_text(path: str | os.PathLike[str], text: str) -> None:
    r"""Writes a text file in UTF-8, its line ends as they are in the text.

    Args:
        path: the file.
        text: all of its content. What UTF-8 does not have, such as the bytes of a file name that is
            not UTF-8, is written as an escape, such as \xe9.
    """
    with aside(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=ESCAPES, newline="")


def write_json(
    path: str | os.PathLike[str], values: Any, *, indent: int = 2, sort_keys: bool = False
) -> None:
    """Writes a JSON file that ends with a line end.

    Args:
        path: the file.
        values: JSON values.
        indent: spaces for each level.
        sort_keys: whether names are in alphabetical order instead of their own.
    """
    write_text(path, json.dumps(values, indent=indent, sort_keys=sort_keys) + "\n")


def write_array(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Writes a .npy file.

    Args:
        path: the file, whose name NumPy does not extend.
        array: any array without Python objects.
    """
    with aside(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


def flush(path: str | os.PathLike[str]) -> None:
    """Waits until a file's content, or the names in a folder, are on the disk.

    Args:
        path: of the file or folder.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_tree(folder: Path) -> None:
    """Waits until a folder and everything beneath it is on the disk.

    Args:
        folder: its path.
    """
    for path in [folder, *folder.rglob("*")]:
        flush(path)
