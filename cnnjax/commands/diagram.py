"""Draw a network as a graph of its layers, in an SVG file.

cnnjax diagram resnet18
cnnjax diagram googlenet --depth=1 --output=pictures/googlenet.svg
cnnjax diagram my_package.nets:MyNet --input_size=32,32,3
"""

import sys

from cnnjax.analysis.diagrams.diagram_command import main
from cnnjax.commands.help.program_name import program_name


def run() -> None:
    """Runs the command on the process's own arguments."""
    sys.exit(main(program=program_name()))
