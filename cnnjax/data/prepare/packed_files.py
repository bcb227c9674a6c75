"""Reading published files that are packed: gzip, xz and tar, of which nothing is trusted yet."""

import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from cnnjax.data.errors import DataError
from cnnjax.data.user_files import irregular_kind

LARGEST = 2**28
"""Bytes that a file may have unpacked; the largest of the published ones has 47 million."""


def require_file(path: Path) -> Path:
    """Returns the path of a file that may be read.

    Args:
        path: the file.

    Raises:
        DataError: it is missing, or no regular file: reading a pipe could wait for ever.
    """
    problem = irregular_kind(path)
    if problem:
        raise DataError(f"source: {path} cannot be read: {problem}; give the published file")
    return path


def read_gzip(path: Path) -> bytes:
    """Returns the unpacked content of a .gz file.

    Args:
        path: the file.

    Raises:
        DataError: it cannot be unpacked.
    """
    with _damage_named(path), gzip.open(require_file(path)) as file:
        return _content(file, path)


def read_xz(path: Path) -> bytes:
    """Returns the unpacked content of a .xz file.

    Args:
        path: the file.

    Raises:
        DataError: it cannot be unpacked.
    """
    with _damage_named(path), lzma.open(require_file(path)) as file:
        return _content(file, path)


def read_tar(path: Path, folder: str) -> dict[str, bytes]:
    """Returns the contents of the files of one folder in a tar archive, by their names.

    Links, pipes and whatever else is no regular file are left out.

    Args:
        path: the archive, packed or not.
        folder: the folder within it.

    Raises:
        DataError: it cannot be unpacked.
    """
    found: dict[str, bytes] = {}
    # Read once and in order: jumping in a packed file is slow.
    with _damage_named(path), tarfile.open(require_file(path)) as tar:
        for member in tar:
            place = PurePosixPath(member.name)
            file = tar.extractfile(member) if member.isreg() else None
            if file is not None and str(place.parent) == folder:
                found[place.name] = _content(file, f"{path}: {member.name}")
    return found


def _content(file: IO[bytes] | io.BufferedIOBase, name: str | Path) -> bytes:
    # A few bytes can unpack to more than the memory holds.
    content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise DataError(
            f"source: {name} unpacks to more than {LARGEST:,} bytes, more than any published file"
        )
    return content


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError) as error:
        # tarfile writes a line for each form that it tried.
        reason = " ".join(str(error).split())
        raise DataError(
            f"source: {path} cannot be unpacked: {reason}; fetch the published file again"
        ) from error
