"""From the arguments of a command to its flags: --help first, and errors that name the fix."""

import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from absl import flags

from cnnjax import training
from cnnjax.commands import find_configuration, suggestions, unset_keys
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
        if "config" not in flags.FLAGS:
            return flags.FLAGS(list(arguments))
        whole = arguments = find_configuration.resolve(arguments)
        arguments, unset = unset_keys.split_off(whole)
        # ml_collections reads the keys that are set from there, not from `arguments`.
        sys.argv[:] = arguments
        rest = flags.FLAGS(list(arguments))
        unset_keys.unset(flags.FLAGS.config, unset)
        # A run records its command.
        sys.argv[:] = whole
        return rest
    except (flags.Error, training.ConfigError) as error:
        problem = suggestions.error_of_file(error, arguments) or _describe(error)
    except Exception as error:
        # The configuration file is executed while flags are parsed. ml_collections names no key
        # that the command line gives and the configuration does not have.
        problem = (
            suggestions.error_of_file(error, arguments)
            or suggestions.unknown_key(arguments)
            or f"--config: {error}"
        )
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
