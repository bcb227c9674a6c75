"""Flags of the programs that combine predictions: of which networks, and of which views."""

from typing import Any

from absl import flags

from cnnjax import data, inference, training
from cnnjax.commands.flags import networks
from cnnjax.commands.flags.data_dir import read_data_dir

GROUP = networks.GROUP

_LAST = flags.DEFINE_integer(
    "last", None, "Average this many of the newest checkpoints of each run.", lower_bound=1
)
_CROPS = flags.DEFINE_enum(
    "crops",
    "whole",
    ["whole", "center", "ten", "dense"],
    "The part of an image that is predicted, enlarged to --scales unless it is whole: its center, "
    "ten crops (corners and center, each mirrored too), or the network at all positions (dense). "
    "All views are averaged.",
)
_SCALES = flags.DEFINE_list(
    "scales",
    [],
    "Sides in pixels to which images are enlarged, separated by commas; if not given, 8/7 of the "
    "network's image size, or that size itself for dense crops.",
)
_AVERAGE = flags.DEFINE_string(
    "average",
    "task",
    "How predictions of several networks and views are joined: 'task', as the task does it (a "
    "classification averages probabilities), or 'logits'.",
)
_FLIP = flags.DEFINE_boolean("flip", False, "Predict every view mirrored too.")


def read_ensemble(
    read: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
) -> inference.Ensemble:
    """Returns the networks that the flags name.

    Args:
        read: how the images of their dataset are read.

    Raises:
        ConfigError: a flag cannot be read, or the flags do not go together.
        RunFolderError: a folder holds no run, or no checkpoint yet.
        CheckpointError: a checkpoint that the flags name does not exist or is damaged.
    """
    # absl's value is any text to a type checker; `Views` takes four.
    crops: Any = _CROPS.value
    views = inference.Views(crops, networks.whole_numbers("scales", _SCALES.value), _FLIP.value)
    if networks.names_weights():
        if _LAST.value:
            raise training.ConfigError("--last: it is for runs; leave it out beside --weights")
        return inference.Ensemble((networks.read_weights(read),), views, _AVERAGE.value)
    return inference.load_ensemble(
        networks.run_folders(),
        steps=networks.chosen_steps(),
        last=_LAST.value,
        views=views,
        average=_AVERAGE.value,
        run=networks.run_path(),
        data_dir=read_data_dir(),
        read=read,
    )
