"""Flags of the programs that use trained networks: which ones, and what they are shown."""

from collections.abc import Sequence
from typing import Any

from absl import flags

from cnnjax import data, inference, training
from cnnjax.commands.flags.data_dir import read_data_dir

GROUP = "Networks and views"

_WORKDIR = flags.DEFINE_multi_string(
    "workdir",
    None,
    "Folder of the run; of several (given again, or separated by commas), predictions are joined.",
)
_RUN = flags.DEFINE_string(
    "run", None, "Path of a function that makes the run, my_package.runs:make, if Python made it."
)
_MODEL = flags.DEFINE_string(
    "model", None, "Instead of --workdir: a registered network, with --weights."
)
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "Its weights: a safetensors file, or hub:NAME for published ones."
)
_SOURCE = flags.DEFINE_enum(
    "source",
    None,
    ["torchvision", "timm", "cnnjax"],
    "Whose names the file's tensors have; recognized by them if not given.",
)
_DATA = flags.DEFINE_string(
    "data", None, "What is evaluated with --weights: a dataset's name, or folder:PATH."
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


def read_ensemble(
    read: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
) -> inference.Ensemble:
    """Returns the networks that the flags name.

    Args:
        read: how the images of their dataset are read.

    Raises:
        ConfigError: a flag cannot be read, or the flags do not go together.
        RunFolderError: a folder holds no run, or no checkpoint yet.
        CheckpointError: a checkpoint that was asked for does not exist or is damaged.
    """
    crops: Any = _CROPS.value
    views = inference.Views(crops, _whole_numbers("scales", _SCALES.value), _FLIP.value)
    if _MODEL.value or _WEIGHTS.value:
        return inference.Ensemble((_from_weights(read),), views)
    if not _WORKDIR.value:
        raise training.ConfigError(
            "--workdir: give the folder of a run, or --model and --weights of a network"
        )
    return inference.load_ensemble(
        [part for given in _WORKDIR.value for part in given.split(",") if part],
        steps=_whole_numbers("steps", _STEPS.value),
        last=_LAST.value,
        views=views,
        run=_RUN.value,
        data_dir=read_data_dir(),
        read=read,
    )


def _from_weights(read: data.ReadOptions) -> inference.Network:
    if not (_MODEL.value and _WEIGHTS.value):
        raise training.ConfigError(
            "--model, --weights: they go together, e.g. --model=resnet50 "
            "--weights=resnet50.safetensors"
        )
    for name, flag in (("workdir", _WORKDIR), ("run", _RUN), ("last", _LAST)):
        if flag.value:
            raise training.ConfigError(f"--{name}: it is of runs; leave it out beside --weights")
    return inference.from_weights(
        _MODEL.value,
        _WEIGHTS.value,
        _SOURCE.value,
        data_name=_DATA.value,
        data_dir=read_data_dir(),
        read=read,
    )


def _whole_numbers(flag: str, values: Sequence[str]) -> tuple[int, ...]:
    for value in values:
        if not value.strip().isdigit():
            raise training.ConfigError(f"--{flag}: {value!r} is not a whole number; give 64,128")
    return tuple(int(value) for value in values)
