"""Flags for what a run writes, and how often: metrics, checkpoints, histograms, traces."""

from absl import flags

from cnnjax import training

GROUP = "Logging and checkpoints"

_LOG_EVERY = flags.DEFINE_integer(
    "log_every", 10, "Steps between two lines of training metrics.", lower_bound=1
)
_CHECKPOINT_EVERY = flags.DEFINE_integer(
    "checkpoint_every", 1, "Epochs between two checkpoints.", lower_bound=1
)
_CHECKPOINT_STEPS = flags.DEFINE_integer(
    "checkpoint_steps",
    0,
    "Steps between two checkpoints, inside epochs too; 0 for none.",
    lower_bound=0,
)
_KEEP_CHECKPOINTS = flags.DEFINE_integer(
    "keep_checkpoints", 3, "How many of the newest checkpoints stay.", lower_bound=2
)
_HISTOGRAMS_EVERY = flags.DEFINE_integer(
    "histograms_every",
    10,
    "Epochs between two sets of histograms of parameters and gradients in TensorBoard; 0 for none.",
    lower_bound=0,
)
_PROFILE_STEPS = flags.DEFINE_string(
    "profile_steps", None, "Trace these steps, a:b, counted from 1, into the folder's profile/."
)
_TRACKER = flags.DEFINE_list(
    "tracker",
    [],
    "Services that receive parameters, metrics and report, separated by commas: mlflow, or paths "
    "such as my_package.trackers:MyTracker. TensorBoard's files are always written.",
)
_REPORT_EVERY = flags.DEFINE_integer(
    "report_every",
    0,
    "Epochs between two writings of report.html while training goes on; 0 for none.",
    lower_bound=0,
)
_PROGRESS = flags.DEFINE_boolean("progress", True, "Show step, loss, speed and the time left.")


def read_cadence() -> training.Cadence:
    """Returns how often the run writes something."""
    return training.Cadence(
        log_every=_LOG_EVERY.value,
        checkpoint_every=_CHECKPOINT_EVERY.value,
        checkpoint_steps=_CHECKPOINT_STEPS.value,
        histograms_every=_HISTOGRAMS_EVERY.value,
        keep_checkpoints=_KEEP_CHECKPOINTS.value,
    )


def read_profile_steps() -> str | None:
    """Returns which steps are traced."""
    return _PROFILE_STEPS.value


def read_progress() -> bool:
    """Returns whether progress is shown."""
    return _PROGRESS.value


def read_trackers() -> list[training.Callback]:
    """Returns the trackers, made anew."""
    return training.make_trackers(_TRACKER.value)


def read_report_every() -> int:
    """Returns the number of epochs between two reports; 0 for none before the end."""
    return _REPORT_EVERY.value
