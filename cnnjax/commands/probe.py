"""Probe a run: read classes from the features of one of its layers.

cnnjax probe --workdir=runs/mnist --layer=stage3
cnnjax probe --workdir=runs/mnist --layer=stage3 --data=fashion_mnist --labels=100
cnnjax probe --workdir=runs/cifar10 --layer=stage3 --data=folder:photographs --hidden=256

The network stays as it is. A linear probe is solved in closed form; a fifth of the training
examples chooses its penalty. Where the layer is unknown, the message names all of them.
"""

from collections.abc import Sequence

from absl import flags

from cnnjax import training, transfer
from cnnjax.commands.flags.data_dir import read_data_dir
from cnnjax.commands.flags.reading import read_options
from cnnjax.commands.launch import launch

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
_LAYER = flags.DEFINE_string(
    "layer", None, "A named feature of its network, such as stage3, or logits.", required=True
)
_DATA = flags.DEFINE_string(
    "data", "", "Another dataset, by name or folder:PATH; the run's own if not given."
)
_LABELS = flags.DEFINE_integer(
    "labels", None, "Training examples that the probe sees; all if not given.", lower_bound=1
)
_HIDDEN = flags.DEFINE_list(
    "hidden", [], "Widths of hidden layers, separated by commas; a linear probe if not given."
)
_POOLING = flags.DEFINE_enum(
    "pooling", "mean", list(transfer.POOLINGS), "How maps become a vector."
)
_FEATURES = flags.DEFINE_string(
    "features", None, "Folder where features are kept for the next probe; none if not given."
)
_SEED = flags.DEFINE_integer("seed", 0, "Draws the labels, and starts hidden layers.")


def main(arguments: Sequence[str]) -> None:
    """Probes the run that the flags name, and prints the probe's accuracies.

    Args:
        arguments: the program's name; nothing follows it.

    Raises:
        ConfigError: a flag has a wrong value, or the network does not fit the dataset.
    """
    del arguments
    if not all(width.isdecimal() and int(width) for width in _HIDDEN.value):
        raise training.ConfigError(
            f"--hidden: {','.join(_HIDDEN.value)} was given; give whole numbers from 1 on"
        )
    try:
        found = transfer.probe_run(
            _WORKDIR.value,
            _LAYER.value,
            dataset=_DATA.value,
            labels=_LABELS.value,
            hidden=[int(width) for width in _HIDDEN.value],
            pooling=_POOLING.value,
            folder=_FEATURES.value,
            seed=_SEED.value,
            data_dir=read_data_dir(),
            read=read_options(),
        )
    except training.ConfigError:
        raise
    except ValueError as error:
        raise training.ConfigError(str(error)) from error
    print(training.format_lines(found.lines()))


def run() -> None:
    """Runs the command on the process's own arguments."""
    launch(main)
