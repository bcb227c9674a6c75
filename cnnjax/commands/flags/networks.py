"""Flags of the programs that use trained networks: those of runs, or of files of weights."""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from cnnjax import data, inference, training
from cnnjax.commands.flags.data_dir import read_data_dir

GROUP = "Networks and views"

_WORKDIR = flags.DEFINE_multi_string(
    "workdir",
    None,
    "Folder of the run; predictions of several (given again, or separated by commas) are combined.",
)
_RUN = flags.DEFINE_string(
    "run", None, "Path of a function that makes the run, my_package.runs:make, if Python made it."
)
_MODEL = flags.DEFINE_string(
    "model", None, "Instead of --workdir: a registered network, with --weights."
)
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "Weights of --model: a safetensors file, or hub:NAME for published ones."
)
_SOURCE = flags.DEFINE_enum(
    "source",
    None,
    ["torchvision", "timm", "cnnjax"],
    "Library whose names the file's tensors have; recognized from the names if not given.",
)
_DATA = flags.DEFINE_string(
    "data",
    None,
    "With --weights: the dataset that is evaluated and names the classes, by name or folder:PATH; "
    "if not given, the classes are ImageNet's.",
)
_STEPS = flags.DEFINE_list(
    "steps",
    [],
    "Steps of the checkpoints, separated by commas; the probabilities of several are averaged; the "
    "newest checkpoint if not given.",
)
# For the commands that take one checkpoint.
flags.DEFINE_alias("step", "steps")


def read_network(
    read: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
) -> inference.Network:
    """Returns the one network that the flags name.

    Args:
        read: how the images of its dataset are read.

    Raises:
        ConfigError: the flags name more than one, or do not go together.
        RunFolderError: the folder holds no run, or no checkpoint yet.
        CheckpointError: the checkpoint that the flags name does not exist or is damaged.
    """
    if names_weights():
        return read_weights(read)
    folder, step = one_checkpoint()
    return inference.load(folder, step, run=run_path(), data_dir=read_data_dir(), read=read)


def names_weights() -> bool:
    """Returns whether the flags name a network by its model and weights rather than by a run."""
    return bool(_MODEL.value or _WEIGHTS.value)


def run_folders() -> list[str]:
    """Returns the folders of the runs.

    Raises:
        ConfigError: there is none.
    """
    folders = [part for given in _WORKDIR.value or () for part in _parts(given) if part]
    if not folders:
        raise training.ConfigError(
            "--workdir: give the folder of a run, or --model and --weights of a network"
        )
    return folders


def _parts(given: str) -> list[str]:
    """Returns the folders that a value names; a comma may be part of a folder's own name."""
    return [given] if Path(given).is_dir() else given.split(",")


def one_checkpoint() -> tuple[str, int | None]:
    """Returns the folder of the one run, and its step; None for the newest.

    Raises:
        ConfigError: there is none, or more than one.
    """
    folders, steps = run_folders(), chosen_steps()
    if len(folders) > 1 or len(steps) > 1:
        raise training.ConfigError(
            f"--workdir, --step: {len(folders)} folders and {len(steps)} steps were given; give "
            "one folder, and at most one step"
        )
    return folders[0], steps[0] if steps else None


def run_path() -> str | None:
    """Returns the path of the function that makes the run, where Python made it."""
    return _RUN.value


def chosen_steps() -> tuple[int, ...]:
    """Returns the steps of the checkpoints; none for the newest."""
    return whole_numbers("steps", _STEPS.value)


def read_weights(read: data.ReadOptions) -> inference.Network:
    """Returns the registered network with the weights that the flags name.

    Args:
        read: how the images of its dataset are read.

    Raises:
        ConfigError: there is no such network or file, they do not fit, or a flag is for runs.
    """
    if not (_MODEL.value and _WEIGHTS.value):
        raise training.ConfigError(
            "--model, --weights: they go together, e.g. --model=resnet50 "
            "--weights=resnet50.safetensors"
        )
    for name, flag in (("workdir", _WORKDIR), ("run", _RUN), ("steps", _STEPS)):
        if flag.value:
            raise training.ConfigError(f"--{name}: it is for runs; leave it out beside --weights")
    return inference.from_weights(
        _MODEL.value,
        _WEIGHTS.value,
        _SOURCE.value,
        data_name=_DATA.value,
        data_dir=read_data_dir(),
        read=read,
    )


def whole_numbers(flag: str, values: Sequence[str]) -> tuple[int, ...]:
    """Returns the numbers of a flag that is a list.

    Args:
        flag: its name, for the message.
        values: what was given.

    Raises:
        ConfigError: one of them is no whole number.
    """
    for value in values:
        if not value.strip().isdigit():
            raise training.ConfigError(f"--{flag}: {value!r} is not a whole number; give 64,128")
    return tuple(int(value) for value in values)
