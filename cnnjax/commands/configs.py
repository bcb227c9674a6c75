"""List the ready configurations, or print the file of one, to copy it.

cnnjax configs
cnnjax configs lenet5_digits > mine.py
"""

import argparse
import ast
import sys
from pathlib import Path

from cnnjax import training
from cnnjax.commands import find_configuration
from cnnjax.commands.exit_codes import USAGE_ERROR
from cnnjax.commands.help.columns import entry
from cnnjax.commands.help.program_name import program_name


def overview() -> str:
    """Returns the names of the configurations, with the first line of each file."""
    known = find_configuration.known()
    column = 4 + max(map(len, known), default=0)
    return "\n".join(entry(name, _first_line(path), column) for name, path in known.items())


def run() -> None:
    """Runs the command on the process's own arguments."""
    parser = argparse.ArgumentParser(
        program_name(), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", help="the configuration whose file is printed")
    name = parser.parse_args().name
    if name is None:
        print(overview())
        return
    try:
        print(Path(find_configuration.find(name)).read_text(), end="")
    except training.ConfigError as error:
        print(f"error: {str(error).removeprefix('--config: ')}", file=sys.stderr)
        sys.exit(USAGE_ERROR)


def _first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
