"""Files of JSON lines that survive the end of the process that writes them.

Each line ends with a checksum of what is before it, so that a changed digit is found: the rest of
such a line is sound JSON. Lines without one, as other programs write them, are taken as they are.
"""

import errno
import json
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cnnjax.training.errors import RunFolderError

# Of many damaged lines, only the first are named.
_NAMED = 3

_CHECKSUM = "crc32"
_END = re.compile(rb', "crc32": "([0-9a-f]{8})"}$')


class JsonLines:
    """Appends JSON objects to a file, each on a line of its own and written at once.

    Args:
        path: the file; it is made if it does not exist.

    Raises:
        RunFolderError: something else is in its place: a link, a folder, a named pipe.
    """

    def __init__(self, path: Path):
        handle = _open_at_the_end(path)
        # With line buffering, a finished line survives a killed process.
        self._file = open(handle, "a", buffering=1)  # noqa: SIM115 (closed by `close`)
        if (size := os.fstat(handle).st_size) and os.pread(handle, 1, size - 1) != b"\n":
            # A process ended within the last line; the next line must not be joined to it.
            self._file.write("\n")

    def append(self, values: Mapping[str, Any]) -> None:
        """Writes one line, with its checksum.

        Args:
            values: the JSON object, which has a member.
        """
        text = json.dumps(values)
        checksum = zlib.crc32(text.encode())
        self._file.write(f'{text[:-1]}, "{_CHECKSUM}": "{checksum:08x}"}}\n')

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _open_at_the_end(path: Path) -> int:
    """Returns a descriptor of a regular file that is read anywhere and written at its end."""
    # Without O_NONBLOCK, opening a named pipe would wait for its reader.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR):
            raise
        raise _no_file(path) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _no_file(path)
    return handle


def _no_file(path: Path) -> RunFolderError:
    kind = "a link" if path.is_symlink() else "no regular file"
    return RunFolderError(f"workdir: {path} is {kind}; move it away, and start again")


Check = Callable[[dict[str, Any]], str | None]
"""A function that returns what is wrong with the object of a line, or None."""


def read_json_lines(path: Path, check: Check) -> list[dict[str, Any]]:
    """Returns the objects of a file in their order, without the lines that cannot be read.

    Args:
        path: the file; where it does not exist there are no lines.
        check: what a line's object has to hold.
    """
    return [values for _, values, problem in _lines(path, check) if problem is None]


def describe_damage(path: Path, check: Check) -> str | None:
    """Returns a sentence on what of a file cannot be read; None if all of it can.

    A last line without its end is no damage: the process that wrote it was killed.

    Args:
        path: the file.
        check: what a line's object has to hold.
    """
    lines = list(_lines(path, check))
    bad = [(number, problem) for number, _, problem in lines if problem is not None]
    if not bad:
        return None
    if bad[0][0] == 0:
        return f"{path.name} cannot be read: {bad[0][1]}."
    named = [f"line {number} ({problem})" for number, problem in bad[:_NAMED]]
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    return (
        f"{len(bad)} of {len(lines)} lines of {path.name} cannot be read and are left out: "
        f"{', '.join(named)}{more}."
    )


def is_number(value: Any) -> bool:
    """Returns whether a JSON value is a number that a float can hold; NaN is one.

    Args:
        value: the value.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def is_count(value: Any) -> bool:
    """Returns whether a JSON value is a whole number from 0 to 2^63 - 1, such as a step.

    Args:
        value: the value.
    """
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _lines(path: Path, check: Check) -> Iterator[tuple[int, dict[str, Any], str | None]]:
    """Yields each line's number, object and problem; number 0 is for the whole file."""
    if not os.path.lexists(path):
        return
    # A named pipe would be waited for.
    if not path.is_file():
        yield 0, {}, "it is no regular file"
        return
    try:
        content = path.read_bytes()
    except OSError as error:
        yield 0, {}, str(error.strerror)
        return
    *whole, last = content.split(b"\n")
    for number, text in enumerate(whole, 1):
        # An empty line is added where a process ended between a line and its end.
        if text:
            values = _object(text)
            problem = "cut off or damaged" if values is None else check(values)
            yield number, values or {}, problem
    if last and (values := _object(last)) is not None:
        yield len(whole) + 1, values, check(values)


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(text)
    # Thousands of open brackets end Python's recursion.
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    if _CHECKSUM in values:
        end = _END.search(text)
        if end is None or zlib.crc32(text[: end.start()] + b"}") != int(end[1], 16):
            return None
        del values[_CHECKSUM]
    return values
