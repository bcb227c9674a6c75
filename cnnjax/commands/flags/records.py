"""Flags that say what a run writes, and how often: metrics, checkpoints, histograms, traces."""

from typing import TypedDict

from absl import flags

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
    "Steps between two checkpoints, inside epochs too; 0 for none of them.",
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


class Records(TypedDict):
    """What a run writes, as keywords of `training.train_and_evaluate`."""

    log_every: int
    checkpoint_every: int
    checkpoint_steps: int
    histograms_every: int
    profile_steps: str | None
    progress: bool


def read_records() -> Records:
    """Returns what the run writes."""
    return Records(
        log_every=_LOG_EVERY.value,
        checkpoint_every=_CHECKPOINT_EVERY.value,
        checkpoint_steps=_CHECKPOINT_STEPS.value,
        histograms_every=_HISTOGRAMS_EVERY.value,
        profile_steps=_PROFILE_STEPS.value,
        progress=_PROGRESS.value,
    )
