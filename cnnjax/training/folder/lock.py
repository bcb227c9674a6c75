"""The lock that keeps two processes from writing into one run's folder."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnnjax.training.errors import FolderInUse, RunFolderError
from cnnjax.training.folder.names import LOCK_FILE
from cnnjax.training.folder.write_errors import write_error


@contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Keeps other processes out of a folder; the lock ends with the process, however that ends.

    Args:
        workdir: the folder, made if it does not exist.

    Raises:
        FolderInUse: another process holds the lock.
        RunFolderError: the lock is something else than a file.
        FolderWriteError: the disk is full.
    """
    path = workdir / LOCK_FILE
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        # What somebody put there is neither followed, waited for nor cut to nothing.
        handle = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666
        )
    except OSError as error:
        # Path's own methods raise for a name that is too long.
        if os.path.islink(path) or os.path.isdir(path):
            raise _not_a_file(path) from None
        raise write_error(workdir, error) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _not_a_file(path)
        try:
            # The system releases this lock when the process ends, also when it is killed.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(
                f"workdir: {workdir} is in use by another process; wait for it or stop it"
            ) from None
        yield
    finally:
        os.close(handle)


def _not_a_file(path: Path) -> RunFolderError:
    return RunFolderError(
        f"workdir: {path} is a link, a folder or a device instead of a file; remove it"
    )
