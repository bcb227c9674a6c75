"""The reader of the JSON files that a run keeps: damage is named, and is never taken for content.

A file has a table of the entries that it must have, each with the kind of its value. What a table
does not name may be there too.
"""

import errno
import json
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cnnjax.training.errors import RunFolderError

_OF_THE_DISK = (errno.EIO, errno.ENXIO, errno.ELOOP)
"""Errors of opening a file that come from what is there, not from who opens it or how."""


class DamagedFile(Exception):
    """A file of a run does not hold what was written into it.

    Attributes:
        path: of the file.
        problem: what is wrong with it, in words.
    """

    def __init__(self, path: Path, problem: str):
        super().__init__(f"{path} is damaged: {problem}")
        self.path = path
        self.problem = problem


class Kind(NamedTuple):
    """What a JSON value may be.

    Attributes:
        expected: its name in messages.
        fits: returns whether a value is of this kind.
    """

    expected: str
    fits: Callable[[Any], bool]


Table = Mapping[str, Kind]
"""The kind of each entry of a JSON object."""

TEXT = Kind("text", lambda value: isinstance(value, str))
OBJECT = Kind("an object", lambda value: isinstance(value, dict))
OBJECTS = Kind(
    "a list of objects", lambda value: isinstance(value, list) and all(map(OBJECT.fits, value))
)
COUNT = Kind(
    "a whole number from 0",
    lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
)
NUMBER = Kind(
    "a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)
)
NUMBERS = Kind(
    "an object of numbers",
    lambda value: isinstance(value, dict) and all(map(NUMBER.fits, value.values())),
)


def hexadecimal(digits: int) -> Kind:
    """Returns the kind of hexadecimal numbers of a fixed length, such as digests.

    Args:
        digits: how many there are.
    """
    allowed = frozenset("0123456789abcdef")
    return Kind(
        f"{digits} hexadecimal digits",
        lambda value: isinstance(value, str) and len(value) == digits and allowed.issuperset(value),
    )


def one_of(*values: str) -> Kind:
    """Returns the kind of some texts.

    Args:
        *values: the texts.
    """
    return Kind(" or ".join(values), lambda value: isinstance(value, str) and value in values)


def optional(kind: Kind) -> Kind:
    """Returns a kind whose value may also be null or missing.

    Args:
        kind: what it is otherwise.
    """
    return Kind(f"{kind.expected} or null", lambda value: value is None or kind.fits(value))


RUN_ID = hexadecimal(32)
"""128 random bits, made when a folder is started."""

DIGEST = hexadecimal(64)
"""A SHA-256."""


def read_json(path: Path, table: Table) -> dict[str, Any]:
    """Returns the object that a JSON file holds.

    Args:
        path: the file.
        table: the entries that it must have.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFile: it holds something else, or is something else than a file.
        RunFolderError: it may not be read.
    """
    content = _content(path)
    try:
        values = json.loads(content)
    # Thousands of open brackets end Python's recursion.
    except (ValueError, RecursionError) as error:
        raise DamagedFile(path, f"it is not JSON ({error})" if content else "it is empty") from None
    if not isinstance(values, dict):
        raise DamagedFile(path, f"it holds no JSON object, but {type(values).__name__}")
    if problem := find_problem(values, table):
        raise DamagedFile(path, problem)
    return values


def find_problem(values: Mapping[str, Any], table: Table) -> str | None:
    """Returns what is wrong with an object's entries, in words; None if nothing is.

    Args:
        values: the object.
        table: the entries that it must have.
    """
    for name, kind in table.items():
        if kind.fits(values.get(name)):
            continue
        if name not in values:
            return f"'{name}' is missing"
        return f"'{name}' is {values[name]!r:.60}, expected {kind.expected}"
    return None


def _content(path: Path) -> bytes:
    """Returns the bytes of a regular file."""
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for its writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except OSError as error:
        if error.errno in _OF_THE_DISK:
            raise DamagedFile(path, f"it cannot be opened ({error.strerror})") from None
        raise RunFolderError(f"workdir: {path} cannot be read: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise DamagedFile(path, "it is no regular file")
        with open(handle, "rb", closefd=False) as file:
            return file.read()
    except OSError as error:
        raise DamagedFile(path, f"it cannot be read ({error.strerror})") from None
    finally:
        os.close(handle)
