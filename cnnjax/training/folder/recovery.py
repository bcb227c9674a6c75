"""What the checkpoints of a folder record of its run, for when the run's own files are damaged."""

from pathlib import Path
from typing import Any

from cnnjax.training.folder.names import CHECKPOINTS_FOLDER
from cnnjax.training.folder.ownership import FORMAT, Owner
from cnnjax.training.folder.saved import SavedCheckpoints


def newest_record(workdir: Path, owner: Owner | None = None) -> dict[str, Any] | None:
    """Returns the record of the newest checkpoint that is as it was written.

    Args:
        workdir: the run's folder.
        owner: the run that must have saved it; None for any.

    Returns:
        Its values; None if there is no such checkpoint.
    """
    checkpoints = SavedCheckpoints(workdir / CHECKPOINTS_FOLDER, owner)
    for step in reversed(checkpoints.steps()):
        # A checkpoint of another run has a problem, too.
        if checkpoints.problem(step) is None:
            record = checkpoints.record(step)
            if record["config"]["format"] == FORMAT:
                return record
    return None
