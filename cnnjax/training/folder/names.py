"""The names of what lies in a run's folder."""

CONFIG_FILE = "config.json"
"""What identifies the run."""

RUN_FILE = "run.json"
"""What is known at each start: command, commit, environment, layout."""

METRICS_FILE = "metrics.jsonl"
EVENTS_FILE = "events.jsonl"
REPORT_FILE = "report.html"
LOCK_FILE = ".lock"
TENSORBOARD_FOLDER = "tensorboard"
PROFILE_FOLDER = "profile"

CHECKPOINTS_FOLDER = "checkpoints"
"""A folder for each checkpoint, named by its step."""

MANIFEST_FILE = "manifest.json"
"""In a checkpoint: the digests of its other files."""

RECORD_FILE = "record.json"
"""In a checkpoint: JSON values that belong to the state."""

ARRAYS_FOLDER = "arrays"
"""In a checkpoint: the state, as orbax writes it."""


def checkpoint_name(step: int) -> str:
    """Returns the name of the folder of a step's checkpoint.

    Args:
        step: number of steps done.
    """
    return f"{step:08d}"
