"""What all commands with absl flags share: help, readable errors, and their exit codes."""

import io
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

import absl.logging
import jax
from absl import app, flags

from cnnjax import data, reports, training
from cnnjax.commands import command_line
from cnnjax.commands.closed_output import quiet_where_output_is_closed
from cnnjax.commands.exit_codes import INTERRUPTED, RUN_ERROR, STOPPED, USAGE_ERROR
from cnnjax.commands.flags.compile_cache import use_compile_cache
from cnnjax.extras import MissingPackage
from cnnjax.training.devices import processes
from cnnjax.writing import ESCAPES

_OUT_OF_MEMORY = (
    "the memory does not suffice ({}); smaller batches, smaller images and a lower precision take "
    "less, and --config.optimizer.accumulate cuts each batch into parts"
)


def launch(main: Callable[[Sequence[str]], None]) -> None:
    """Runs a command, turning what its user has to fix into one message and an exit code.

    Args:
        main: what the command does; it takes the program's name and the arguments that are no
            flags. The docstring of its module comes first in --help.
    """
    messages = logging.StreamHandler()
    messages.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger = logging.getLogger("cnnjax")
    logger.addHandler(messages)
    logger.setLevel(logging.INFO)
    # absl's handler of the root logger would print each message again.
    logger.propagate = False
    description = sys.modules[main.__module__].__doc__ or ""
    # A name that the output's encoding lacks must not end a command; standard error does the same.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=ESCAPES)

    def parse(arguments: Sequence[str]) -> list[str]:
        return command_line.parse(arguments, description)

    with quiet_where_output_is_closed():
        app.run(lambda arguments: _guarded(main, arguments), flags_parser=parse)


def _guarded(main: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> None:
    if not flags.FLAGS["verbosity"].present:
        # orbax and TFDS report every file they touch.
        absl.logging.set_verbosity(absl.logging.WARNING)
    use_compile_cache()
    training.keep_freed_memory()
    try:
        main(arguments)
    except training.FolderWriteError as error:
        # It is a RunFolderError too, but no fault of the command.
        command_line.stop(str(error), RUN_ERROR)
    except (
        training.ConfigError,
        training.RunFolderError,
        data.DataError,
        MissingPackage,
    ) as error:
        command_line.stop(str(error), USAGE_ERROR)
    except (
        training.CheckpointError,
        training.TrainingDiverged,
        data.DamagedImages,
        data.DataFolderError,
    ) as error:
        command_line.stop(str(error), RUN_ERROR)
    except training.TrainingStopped as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(STOPPED)
    except jax.errors.JaxRuntimeError as error:
        if "out of memory" not in str(error).lower():
            _fail()
        command_line.stop(_OUT_OF_MEMORY.format(str(error).splitlines()[0]), RUN_ERROR)
    except KeyboardInterrupt:
        print("left at once; the last checkpoint is as it was", file=sys.stderr)
        processes.leave(INTERRUPTED)
    except Exception:
        _fail()


def _fail() -> NoReturn:
    """Ends the program by the error that is handled, which is a fault of ours."""
    # Alone, Python prints the traceback itself; joined, the other processes must not wait.
    if not processes.is_joined():
        raise
    traceback.print_exc()
    processes.leave(1)


def check_report_packages() -> None:
    """Makes sure, before any work, that a report can be written.

    Raises:
        ConfigError: a package of the extra `[report]` is missing.
    """
    try:
        reports.check_installed()
    except MissingPackage as error:
        raise training.ConfigError(str(error)) from None
