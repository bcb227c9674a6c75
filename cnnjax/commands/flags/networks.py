"""Flags of the programs that use trained networks: which ones, and what they are shown."""

from collections.abc import Sequence
from typing import Any

from absl import flags

from cnnjax import data, training
from cnnjax.commands.flags.data_dir import read_data_dir

GROUP = "Networks and views"

_WORKDIR = flags.DEFINE_multi_string(
    "workdir",
    None,
    "Folder of the run; of several (given again, or separated by commas), the probabilities are "
    "averaged.",
    required=True,
)
_STEPS = flags.DEFINE_list(
    "steps",
    [],
    "Steps of the checkpoints, separated by commas; the probabilities of several are averaged. The "
    "newest if not given.",
)
flags.DEFINE_alias("step", "steps")
_LAST = flags.DEFINE_integer(
    "last", None, "Average the newest checkpoints of each run, this many.", lower_bound=1
)
_CROPS = flags.DEFINE_enum(
    "crops",
    "whole",
    ["whole", "center", "ten", "dense"],
    "What the networks are shown of an image, enlarged to --scales unless it is whole: its center, "
    "ten crops (corners and center, each mirrored too), or all of it, the network moved over it. "
    "Probabilities of all views are averaged.",
)
_SCALES = flags.DEFINE_list(
    "scales",
    [],
    "Sides in pixels to which images are enlarged, separated by commas; if not given 8/7 of the "
    "network's image size, for --crops=dense that size itself.",
)
_FLIP = flags.DEFINE_boolean("flip", False, "Show every view mirrored too.")


def read_ensemble(inputs: data.Inputs = data.Inputs()) -> training.Ensemble:  # noqa: B008
    """Returns the networks that the flags name.

    Args:
        inputs: how the images of their dataset are read.

    Raises:
        ConfigError: a flag cannot be read, or the flags do not go together.
        RunFolderError: a folder holds no run, or no checkpoint yet.
        CheckpointError: a checkpoint that was asked for does not exist or is damaged.
    """
    crops: Any = _CROPS.value
    workdirs = [part for given in _WORKDIR.value for part in given.split(",") if part]
    return training.load_ensemble(
        workdirs,
        steps=_whole_numbers("steps", _STEPS.value),
        last=_LAST.value,
        views=training.Views(crops, _whole_numbers("scales", _SCALES.value), _FLIP.value),
        data_dir=read_data_dir(),
        inputs=inputs,
    )


def _whole_numbers(flag: str, values: Sequence[str]) -> tuple[int, ...]:
    for value in values:
        if not value.strip().isdigit():
            raise training.ConfigError(f"--{flag}: {value!r} is not a whole number; give 64,128")
    return tuple(int(value) for value in values)
