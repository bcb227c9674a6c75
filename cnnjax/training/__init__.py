"""Training: a run made of objects, the loop that fits it, and the folder it leaves."""

from cnnjax.training.callbacks import Callback, Ending, Start
from cnnjax.training.devices.allocator import keep_freed_memory
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.scope import BatchNormScope
from cnnjax.training.errors import (
    CheckpointError,
    ConfigError,
    FolderWriteError,
    RunFolderError,
    TrainingDiverged,
    TrainingStopped,
)
from cnnjax.training.fit import fit
from cnnjax.training.folder.events import read_events
from cnnjax.training.folder.metrics import read_metrics
from cnnjax.training.loop.evaluation import EVAL_BATCH
from cnnjax.training.loop.training_loop import Cadence
from cnnjax.training.result import RunResult, format_lines
from cnnjax.training.run import Run
from cnnjax.training.step.state import TrainState
from cnnjax.training.step.step import StepOptions, train_step
from cnnjax.training.trackers.mlflow_tracker import MlflowTracker
from cnnjax.training.trackers.registry import TRACKERS, make_trackers
from cnnjax.training.trackers.tracker import Measured, Tracker

__all__ = [
    "EVAL_BATCH",
    "TRACKERS",
    "BatchNormScope",
    "Cadence",
    "Callback",
    "CheckpointError",
    "ConfigError",
    "Ending",
    "FolderWriteError",
    "Measured",
    "MlflowTracker",
    "Parallel",
    "Run",
    "RunFolderError",
    "RunResult",
    "Start",
    "StepOptions",
    "Tracker",
    "TrainState",
    "TrainingDiverged",
    "TrainingStopped",
    "fit",
    "format_lines",
    "keep_freed_memory",
    "make_trackers",
    "read_events",
    "read_metrics",
    "train_step",
]
