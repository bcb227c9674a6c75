"""Preparing in the folder of prepared sets: one process at a time, with errors that name it."""

import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from cnnjax.data.errors import DataFolderError

_logger = logging.getLogger(__name__)

# Errors that are about the folder, not about what is written there.
_UNWRITABLE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EFBIG,
    errno.EIO,
)

# Some network file systems have no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def preparing(folder: Path, what: str) -> Iterator[None]:
    """Keeps other processes from preparing the same thing meanwhile; one that comes later waits.

    After the wait, another process may have prepared it: look again inside the block. The system
    releases the lock when the process ends, also when it is killed.

    Args:
        folder: the folder that is written, made if it does not exist.
        what: what is prepared there, such as the name of a set.

    Raises:
        DataFolderError: the folder cannot be written, for example since the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder, what):
            yield
    except (OSError, RuntimeError) as error:
        # The writer of array_record raises RuntimeError, with the system's text in it.
        if not isinstance(error, OSError) and not is_unwritable(error):
            raise
        raise DataFolderError(
            f"data_dir: {what} cannot be prepared in {folder}: {error}; free some space, make the "
            "folder writable, or choose another with --data_dir or TFDS_DATA_DIR"
        ) from error


def is_unwritable(error: BaseException) -> bool:
    """Returns whether an error is about a folder that is full, read-only or no folder.

    Args:
        error: the error, of the system or of a library that quotes the system's text.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _UNWRITABLE
    return any(os.strerror(number) in str(error) for number in _UNWRITABLE)


@contextlib.contextmanager
def _locked(folder: Path, what: str) -> Iterator[None]:
    # Hidden, and left there: a process that removed it could remove the lock of another.
    path = folder / f".{what.replace('/', '_')}.lock"
    # A link that is planted at this path is not followed.
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _logger.warning("another process prepares %s in %s; waiting for it", what, folder)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _logger.warning("%s has no locks: prepare %s in one process at a time", folder, what)
        yield
    finally:
        os.close(handle)
