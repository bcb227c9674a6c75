"""From the arguments of a command to its flags: --help first, and errors that name the fix."""

import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from absl import flags

from cnnjax import training
from cnnjax.commands import find_configuration, suggestions
from cnnjax.commands.exit_codes import USAGE_ERROR
from cnnjax.commands.help.grouped_help import command_help
from cnnjax.training.devices import processes

HELP = ("--help", "-help", "--helpshort", "-helpshort", "-h", "-?")


def parse(arguments: Sequence[str], description: str) -> list[str]:
    """Parses the flags of a command.

    Args:
        arguments: the program's name and all that follows it.
        description: what the command does, for --help.

    Returns:
        The program's name and the arguments that are no flags.

    Raises:
        SystemExit: with 0 after --help, with 2 if a flag is wrong.
    """
    if _wants_help(arguments):
        print(command_help(description))
        sys.exit(0)
    try:
        if "config" in flags.FLAGS:
            arguments = find_configuration.resolve(arguments)
            # ml_collections reads the keys that are set from there, not from `arguments`.
            sys.argv[:] = arguments
        return flags.FLAGS(list(arguments))
    except (flags.Error, training.ConfigError) as error:
        problem = _describe(error)
    except (AttributeError, KeyError):
        # ml_collections raises these for a key that the configuration does not have, without its
        # name.
        problem = suggestions.unknown_key(arguments)
    except (OSError, ImportError, SyntaxError, TypeError, ValueError) as error:
        # The configuration file is executed while flags are parsed.
        problem = f"--config: {error}"
    stop(problem, USAGE_ERROR)


def stop(message: str, code: int) -> NoReturn:
    """Ends the program with an error message and an exit code.

    Args:
        message: what went wrong and how to fix it; "error: " is put before it.
        code: one of `exit_codes`.
    """
    print(f"error: {message}", file=sys.stderr)
    # At an ordinary exit, joined processes would wait for one another.
    processes.leave(code)


def _describe(error: Exception) -> str:
    if isinstance(error, flags.UnrecognizedFlagError):
        return suggestions.unknown_flag(error.flagname)
    # absl's message, which names no purpose, is replaced by the flag's help.
    missing = re.search(r"--(\w+)=None: Flag --\w+ must have a value", str(error))
    if missing:
        return f"--{missing[1]} is required: {flags.FLAGS[missing[1]].help}"
    return str(error)


def _wants_help(arguments: Sequence[str]) -> bool:
    arguments = list(arguments)
    flags_end = arguments.index("--") if "--" in arguments else len(arguments)
    return any(argument in HELP for argument in arguments[:flags_end])
