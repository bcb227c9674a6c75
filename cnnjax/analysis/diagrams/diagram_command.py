"""The command `cnnjax diagram`."""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from cnnjax import models
from cnnjax.analysis.cost.summary_command import image_size
from cnnjax.analysis.diagrams.diagram import diagram
from cnnjax.writing import write_text

_DESCRIPTION = """Draws a network as a graph of its layers: branches and joins, shapes and
parameters, equal blocks once with their number. The picture is an SVG file, which every browser
shows."""


def main(arguments: Sequence[str] | None = None, program: str = "cnnjax diagram") -> int:
    """Writes the diagram of a network.

    Args:
        arguments: the command line without the program; None reads `sys.argv`.
        program: the command's name, for --help.

    Returns:
        The exit code: 0, or 2 for options that are not valid or a file that cannot be written.

    Raises:
        MissingPackage: a package of the extra `[report]` is missing.
    """
    options = _parser(program).parse_args(arguments)
    path = pathlib.Path(options.output or f"{options.model.rpartition(':')[2]}.svg")
    try:
        if path.suffix != ".svg":
            raise ValueError(f"--output {str(path)!r} must end in .svg, the format of the picture")
        if not path.parent.is_dir():
            raise ValueError(f"--output: the folder {path.parent} does not exist; make it first")
        write_text(path, _picture(options))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(path)
    return 0


def _picture(options: argparse.Namespace) -> str:
    name = options.model
    model = models.create_model(name, num_classes=options.num_classes, variant=options.variant)
    size = options.input_size
    if size is None:
        if ":" in name:
            raise ValueError(f"{name} is a network of your own; give --input_size=H,W,C")
        size = models.model_info(name, options.variant).input_size
    return diagram(
        model, size, depth=options.depth, fold=not options.unfold, name=name.rpartition(":")[2]
    )


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(program, None, _DESCRIPTION)
    parser.add_argument(
        "model", help="a registered name, such as resnet18, or a path such as my_nets:MyNet"
    )
    parser.add_argument("--output", metavar="FILE", help="the SVG file; MODEL.svg if not given")
    parser.add_argument(
        "--depth", type=int, help="levels of modules that are drawn; chosen if not given"
    )
    parser.add_argument("--unfold", action="store_true", help="draw equal blocks one by one")
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
    return parser
