"""Training: a pure step, the loop around it, its run folder, and the way back from that folder."""

from cnnjax.inference.answers import (
    Answer,
    answer_files,
    check_output,
    format_assessment,
    write_answers,
    write_assessment,
)
from cnnjax.inference.ensemble import Ensemble, load_ensemble
from cnnjax.inference.images import find_images, read_images
from cnnjax.inference.loaded_run import LoadedRun, load_run
from cnnjax.inference.views import Views
from cnnjax.recipes.config import RunConfig, default_config, known_keys, nearest_key, parse_config
from cnnjax.recipes.plan import Plan, make_plan
from cnnjax.training.devices.allocator import keep_freed_memory
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.errors import (
    CheckpointError,
    ConfigError,
    RunFolderError,
    TrainingDiverged,
    TrainingStopped,
)
from cnnjax.training.fit import RunResult, train_and_evaluate
from cnnjax.training.folder.events import read_events
from cnnjax.training.folder.metrics import read_metrics
from cnnjax.training.loop.evaluation import EVAL_BATCH, format_metrics
from cnnjax.training.step.state import TrainState
from cnnjax.training.step.step import eval_step, train_step

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
