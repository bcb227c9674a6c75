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
_HISTOGRAMS_EVERY = flags.DEFINE_integer(
    "histograms_every",
    10,
    "Epochs between two sets of histograms of parameters and gradients in TensorBoard; 0 for none.",
    lower_bound=0,
)
_PROFILE_STEPS = flags.DEFINE_string(
    "profile_steps", None, "Trace these steps, a:b, counted from 1, into the folder's profile/."
)
_PROGRESS = flags.DEFINE_boolean("progress", True, "Show step, loss, speed and the time left.")


def read_cadence() -> training.Cadence:
    """Returns how often the run writes something."""
    return training.Cadence(
        log_every=_LOG_EVERY.value,
        checkpoint_every=_CHECKPOINT_EVERY.value,
        checkpoint_steps=_CHECKPOINT_STEPS.value,
        histograms_every=_HISTOGRAMS_EVERY.value,
    )


def read_profile_steps() -> str | None:
    """Returns which steps are traced."""
    return _PROFILE_STEPS.value


def read_progress() -> bool:
    """Returns whether progress is shown."""
    return _PROGRESS.value
