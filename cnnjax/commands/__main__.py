"""The console command `cnnjax`: the name of a command, and then that command's own arguments."""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from cnnjax.commands.closed_output import quiet_where_output_is_closed
from cnnjax.commands.early_signals import leaving_at_once, stop_by_sigterm
from cnnjax.commands.exit_codes import USAGE_ERROR
from cnnjax.commands.help.columns import entry
from cnnjax.extras import MissingPackage
from cnnjax.nearest import did_you_mean

COMMANDS = (
    *("train", "evaluate", "predict", "report", "compare", "study", "probe", "prune"),
    *("summarize", "diagram", "prepare", "configs"),
)
"""Each is a module of this package, with a function `run`."""

HELP = ("--help", "-help", "-h", "help")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command.

    Args:
        arguments: the command's name and its arguments; None reads `sys.argv`.

    Raises:
        SystemExit: with the command's exit code; with 2 if there is no such command.
    """
    with quiet_where_output_is_closed():
        _run(list(sys.argv[1:] if arguments is None else arguments))


def _run(given: list[str]) -> None:
    if not given:
        print(overview(), file=sys.stderr)
        sys.exit(USAGE_ERROR)
    name, *rest = given
    if name in HELP:
        print(overview())
        sys.exit(0)
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS, count=1) or f"there are {', '.join(COMMANDS)} "
        print(f"error: cnnjax has no command {name!r}; {hint}".rstrip(), file=sys.stderr)
        sys.exit(USAGE_ERROR)
    # As `python -m` does: configurations and parts named by path are found in this folder.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    # In place: other modules may hold the list. The help shows its first entry.
    sys.argv[:] = [f"cnnjax {name}", *rest]
    # Only the one module: absl's flags belong to the process, and other commands define their own.
    try:
        with leaving_at_once(name):
            module = importlib.import_module(f"cnnjax.commands.{name}")
        stop_by_sigterm(name)
        module.run()
    except MissingPackage as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USAGE_ERROR)


def overview() -> str:
    """Returns the commands, with a line each."""
    lines = [entry(name, _first_line(name), 13) for name in COMMANDS]
    return "\n".join(
        [
            "usage: cnnjax COMMAND [ARGUMENTS]",
            "",
            "Commands:",
            *lines,
            "",
            "cnnjax COMMAND --help describes a command and all its flags.",
        ]
    )


def _first_line(name: str) -> str:
    """Returns the first line of a command's docstring, without importing the command."""
    # Importing it would define its flags, and load jax.
    spec = importlib.util.find_spec(f"cnnjax.commands.{name}")
    source = Path(spec.origin).read_text() if spec and spec.origin else ""
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


if __name__ == "__main__":
    main()
