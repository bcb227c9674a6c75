"""The command behind `python -m cnnjax.analysis`."""

import argparse
import sys
from collections.abc import Sequence

from cnnjax import models
from cnnjax.analysis.cost.summarize import summarize
from cnnjax.analysis.cost.summary import Summary, format_summary, side_by_side, totals
from cnnjax.analysis.cost.tables import FORMATS, shape_text, table_text
from cnnjax.models.info import Published

_DESCRIPTION = """Prints what each layer of a network costs and sees: output shape, parameters,
multiply-adds, values and bytes of a forward pass, bytes kept for the backward pass, receptive
field, effective stride and padding. Counted from shapes; nothing is run."""


def main(arguments: Sequence[str] | None = None, program: str = "python -m cnnjax.analysis") -> int:
    """Prints the summary of a network, of two side by side, or of all registered ones.

    Args:
        arguments: the command line without the program; None reads `sys.argv`.
        program: the command's name, for --help.

    Returns:
        The exit code: 0, or 2 for options that are not valid.
    """
    options = _parser(program).parse_args(arguments)
    try:
        changed = (options.input_size, options.variant, options.compare, options.without_biases)
        if options.all and any(changed):
            raise ValueError("--all takes each network as published; leave the other options out")
        if options.all == bool(options.model):
            raise ValueError("give the name of a network, or --all")
        print(_all(options) if options.all else _one(options), end="")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(program, None, _DESCRIPTION)
    parser.add_argument("model", nargs="?", help="a registered name, such as vgg16")
    parser.add_argument("--compare", metavar="MODEL", help="a second network beside the first")
    parser.add_argument("--all", action="store_true", help="totals of all registered networks")
    parser.add_argument("--variant", help="a registered form of the network, such as torchvision")
    parser.add_argument(
        "--input_size",
        type=image_size,
        metavar="H,W,C",
        help="image size; the paper's if not given",
    )
    parser.add_argument(
        "--num_classes", type=int, help="number of logits; as published if not given"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="table", help="table, the default, is for the terminal"
    )
    parser.add_argument(
        "--without_biases", action="store_true", help="count the parameters without biases"
    )
    parser.add_argument("--xla", action="store_true", help="add XLA's own count of operations")
    return parser


def image_size(text: str) -> tuple[int, ...]:
    """Returns the size of an image that an option gives.

    Args:
        text: such as "224,224,3".

    Raises:
        argparse.ArgumentTypeError: it is not height, width and channels.
    """
    try:
        size = tuple(int(part) for part in text.split(","))
    except ValueError:
        size = ()
    if len(size) != 3 or min(size) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be height, width and channels, such as 224,224,3"
        )
    return size


def _summary(name: str, options: argparse.Namespace) -> Summary:
    model = models.create_model(name, num_classes=options.num_classes, variant=options.variant)
    size = options.input_size or models.model_info(name, options.variant).input_size
    biases = not options.without_biases
    return summarize(model, size, xla=options.xla, biases=biases, name=name)


def _one(options: argparse.Namespace) -> str:
    first = _summary(options.model, options)
    second = _summary(options.compare, options) if options.compare else None
    if options.xla and options.format == "csv":
        # CSV holds the rows alone, and XLA counts whole networks.
        for summary in filter(None, (first, second)):
            print(f"{summary.model}: {totals(summary)[-1]}", file=sys.stderr)
    if second is None:
        return format_summary(first, options.format)
    return side_by_side(first, second, options.format)


_XLA = "multiply-adds by XLA"

_HEADINGS = (
    "network",
    "input",
    "parameters",
    "reference parameters",
    "published parameters",
    "multiply-adds",
    "reference multiply-adds",
    "published multiply-adds",
    _XLA,
    "values",
    "bytes forward",
    "bytes kept",
    "field",
)


def _all(options: argparse.Namespace) -> str:
    """Returns a line for each registered network, with reference and published figures beside."""
    number = "{}" if options.format == "csv" else "{:,}"
    lines = []
    for name in models.list_models():
        info = models.model_info(name)
        summary = _summary(name, options)
        fields = [row.field for row in summary.rows if row.field]
        xla = summary.xla_multiply_adds
        printed = info.published or Published("")
        lines.append(
            (
                name,
                shape_text(summary.input_shape),
                number.format(summary.parameters),
                number.format(info.parameters) if info.parameters else "",
                printed.parameters or "",
                number.format(summary.multiply_adds),
                info.multiply_adds or "",
                printed.multiply_adds or "",
                "" if xla is None else number.format(xla),
                number.format(summary.values),
                number.format(summary.bytes_forward),
                number.format(summary.bytes_kept),
                shape_text(fields[-1]) if fields else "",
            )
        )
    # Without --xla the column would be empty.
    shown = [i for i, name in enumerate(_HEADINGS) if options.xla or name != _XLA]
    return table_text(
        [_HEADINGS[i] for i in shown],
        [[line[i] for i in shown] for line in lines],
        options.format,
    )
