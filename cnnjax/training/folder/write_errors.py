"""The error of a run's folder that cannot be written."""

import errno
from pathlib import Path

from cnnjax.training.errors import FolderWriteError, RunFolderError

_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What may be over when the same command is started again."""


def write_error(workdir: Path, error: OSError) -> RunFolderError:
    """Returns the error that explains what the operating system reported.

    Args:
        workdir: the run's folder.
        error: what writing beneath it raised.
    """
    reason = error.strerror or str(error)
    if error.errno in _PASSING:
        return FolderWriteError(
            f"workdir: {workdir} cannot be written now: {reason}; what was saved is as it was; "
            "make room and start the same command again to go on"
        )
    return RunFolderError(
        f"workdir: {workdir} cannot be written: {reason}; choose another --workdir"
    )
