"""Summarize what a network costs, layer by layer, without running it.

cnnjax summarize vgg16
cnnjax summarize resnet50 --compare=vgg16 --format=markdown
cnnjax summarize --all
"""

import sys

from cnnjax.analysis.cost.summary_command import main
from cnnjax.commands.help.program_name import program_name


def run() -> None:
    """Runs the command on the process's own arguments."""
    sys.exit(main(program=program_name()))
