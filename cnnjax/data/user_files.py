"""Files of users: regular files alone are read."""

import os
import stat

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def irregular_kind(path: str | os.PathLike[str]) -> str:
    """Returns what a path is if it is no regular file, such as "a named pipe"; else "".

    Args:
        path: the path; links are followed.
    """
    try:
        return _irregular(os.stat(path))
    except OSError as error:
        return "a broken link" if os.path.islink(path) else (error.strerror or str(error))


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Returns the content of a regular file.

    Args:
        path: the file; links are followed.

    Raises:
        OSError: it cannot be read, or is no regular file: reading a pipe could wait for ever.
    """
    # Looked at first, since opening a device can already change it.
    _require_regular(os.stat(path))
    # Between the two looks, something else may have taken its place: opening must not wait.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        _require_regular(os.fstat(handle))
        return file.read()


def _irregular(state: os.stat_result) -> str:
    return _KINDS.get(stat.S_IFMT(state.st_mode), "")


def _require_regular(state: os.stat_result) -> None:
    kind = _irregular(state)
    if kind:
        raise OSError(f"it is {kind}, and only regular files are read")
