"""Make a trained network smaller: remove filters, give convolutions a low rank.

cnnjax prune --workdir=runs/digits --ratio=0.3 --output=runs/small
cnnjax train --config=runs/small/config.py --workdir=runs/tuned --config.epochs=3

Of the channels of each layer, those with the smallest filters go, with all that belongs to them.
The command prints what became of each layer and the metrics before and after. The folder gets the
weights, and a configuration with which a new run trains them further. Give --ratio or
--multiply_adds, or --rank or --error, or one of each.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from cnnjax import compression, training
from cnnjax.commands.flags import networks
from cnnjax.commands.flags.reading import read_options
from cnnjax.commands.launch import launch

_RATIO = flags.DEFINE_float("ratio", None, "Share of each layer's channels to remove, below 1.")
_MULTIPLY_ADDS = flags.DEFINE_float(
    "multiply_adds", None, "Share of the multiply-adds to save by removing channels, below 1."
)
_KEEP = flags.DEFINE_list(
    "keep", [], "Patterns over layers' paths, separated by commas: their channels all stay."
)
_MULTIPLE = flags.DEFINE_integer(
    "multiple",
    1,
    "Each layer that loses channels keeps a multiple of this: processors compute 8 or 16 at once.",
    lower_bound=1,
)
_BY = flags.DEFINE_enum("by", "l1", ["l1", "random"], "Which channels go.")
_RANK = flags.DEFINE_integer(
    "rank", None, "Replace convolutions by columns and rows of this rank, where that is cheaper."
)
_ERROR = flags.DEFINE_float(
    "error", None, "Instead of --rank: the smallest rank within this relative error of each kernel."
)
_EVALUATE = flags.DEFINE_boolean("evaluate", True, "Print the metrics before and after.")
_OUTPUT = flags.DEFINE_string("output", None, "New folder for the weights and the configuration.")


def main(arguments: Sequence[str]) -> None:
    """Makes the network that the flags name smaller, prints what changed, and writes it.

    Args:
        arguments: the program's name; nothing follows it.
    """
    del arguments
    # Before any work.
    output = None if _OUTPUT.value is None else compression.check_output(_OUTPUT.value)
    network = networks.read_network(read_options())
    # absl's value is any text to a type checker.
    by: Any = _BY.value
    smaller = compression.make_smaller(
        network,
        ratio=_RATIO.value,
        multiply_adds=_MULTIPLY_ADDS.value,
        keep=_KEEP.value,
        multiple=_MULTIPLE.value,
        by=by,
        rank=_RANK.value,
        error=_ERROR.value,
    )
    print(smaller)
    if _EVALUATE.value:
        lines = [
            (f"{name}, {when}", text)
            for when, each in (("before", network), ("after", smaller.network))
            for name, text in network.task.lines(network.split, each.evaluate())
        ]
        print(training.format_lines(lines))
    if output is not None:
        print(f"written: {compression.write_smaller(smaller, output)}")


def run() -> None:
    """Runs the command on the process's own arguments."""
    launch(main)
