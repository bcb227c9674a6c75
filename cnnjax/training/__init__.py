"""Training: a pure step, the loop around it, its run folder, and the way back from that folder."""

from cnnjax.training.allocator import keep_freed_memory
from cnnjax.training.answers import (
    Answer,
    answer_files,
    check_output,
    format_assessment,
    write_answers,
    write_assessment,
)
from cnnjax.training.config import RunConfig, default_config, known_keys, nearest_key, parse_config
from cnnjax.training.ensemble import Ensemble, load_ensemble
from cnnjax.training.errors import (
    CheckpointError,
    ConfigError,
    RunFolderError,
    TrainingDiverged,
    TrainingStopped,
)
from cnnjax.training.evaluation import EVAL_BATCH, format_metrics
from cnnjax.training.events import read_events
from cnnjax.training.images import find_images, read_images
from cnnjax.training.inference import LoadedRun, load_run
from cnnjax.training.layout import Parallel
from cnnjax.training.loop import RunResult, train_and_evaluate
from cnnjax.training.metrics import read_metrics
from cnnjax.training.plan import Plan, make_plan
from cnnjax.training.state import TrainState
from cnnjax.training.step import eval_step, train_step
from cnnjax.training.views import Views

__all__ = [
    "EVAL_BATCH",
    "Answer",
    "CheckpointError",
    "ConfigError",
    "Ensemble",
    "LoadedRun",
    "Parallel",
    "Plan",
    "RunConfig",
    "RunFolderError",
    "RunResult",
    "TrainState",
    "TrainingDiverged",
    "TrainingStopped",
    "Views",
    "answer_files",
    "check_output",
    "default_config",
    "eval_step",
    "find_images",
    "format_assessment",
    "format_metrics",
    "keep_freed_memory",
    "known_keys",
    "load_ensemble",
    "load_run",
    "make_plan",
    "nearest_key",
    "parse_config",
    "read_events",
    "read_images",
    "read_metrics",
    "train_and_evaluate",
    "train_step",
    "write_answers",
    "write_assessment",
]
