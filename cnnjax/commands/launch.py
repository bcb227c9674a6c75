"""What all experiments share: readable flag errors, and user errors without a traceback."""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import absl.logging
import jax
from absl import app, flags

from cnnjax import data, reports, training
from cnnjax.nearest import did_you_mean
from cnnjax.training.devices import processes

USAGE_ERROR = 2
"""Exit code after a wrong flag or configuration, or a folder that cannot be used."""

RUN_ERROR = 3
"""Exit code after a run that could not go on: diverged, damaged checkpoints or images."""

INPUT_ERROR = 4
"""Exit code after work that was done, but for some inputs that could not be read."""

STOPPED = 75
"""Exit code after SIGTERM or Ctrl-C (EX_TEMPFAIL): saved; the same command goes on from there."""

INTERRUPTED = 130
"""Exit code after a Ctrl-C that left at once; the last checkpoint is as it was."""

_COMPILE_CACHE = flags.DEFINE_string(
    "compile_cache",
    None,
    "Folder of compiled programs, from which a later start takes them; 'off' for none. If not "
    "given: $JAX_COMPILATION_CACHE_DIR, or cnnjax/compiled in the user's cache folder.",
)


def launch(main: Callable[[Sequence[str]], None]) -> None:
    """Runs an absl program, turning what its user has to mend into one message and an exit code."""

    def guarded(arguments: Sequence[str]) -> None:
        if not flags.FLAGS["verbosity"].present:
            # orbax and TFDS report every file they touch.
            absl.logging.set_verbosity(absl.logging.WARNING)
        _use_compile_cache()
        training.keep_freed_memory()
        try:
            main(arguments)
        except (training.ConfigError, training.RunFolderError, data.DataError) as error:
            _stop(str(error), USAGE_ERROR)
        except (
            training.CheckpointError,
            training.TrainingDiverged,
            data.DamagedImages,
        ) as error:
            _stop(str(error), RUN_ERROR)
        except training.TrainingStopped as stopped:
            print(stopped, file=sys.stderr)
            sys.exit(STOPPED)
        except KeyboardInterrupt:
            print("left at once; the last checkpoint is as it was", file=sys.stderr)
            processes.leave(INTERRUPTED)
        except Exception:
            if not processes.is_joined():
                raise
            traceback.print_exc()
            processes.leave(1)

    # What a run has to say of itself.
    messages = logging.StreamHandler()
    messages.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger = logging.getLogger("cnnjax")
    logger.addHandler(messages)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    app.run(guarded, flags_parser=_parse_flags)


def read_config(flag: flags.FlagHolder) -> training.RunConfig:
    """Returns the checked configuration of a config-file flag.

    Raises:
        ConfigError: its file cannot be loaded, or holds unknown keys or wrong values.
    """
    try:
        values = flag.value.to_dict()
    except OSError as error:
        raise training.ConfigError(f"--config: {error}") from None
    return training.parse_config(values)


def check_report_packages() -> None:
    """Makes sure, before any work, that a report can be written.

    Raises:
        ConfigError: a package of the extra `[report]` is missing.
    """
    try:
        reports.check_installed()
    except ImportError as error:
        raise training.ConfigError(str(error)) from None


def _use_compile_cache() -> None:
    folder = _COMPILE_CACHE.value or os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if not folder:
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = str(Path(caches) / "cnnjax" / "compiled")
    jax.config.update("jax_compilation_cache_dir", None if folder == "off" else folder)


def _parse_flags(arguments: Sequence[str]) -> list[str]:
    try:
        return flags.FLAGS(list(arguments))
    except flags.UnrecognizedFlagError as error:
        problem = _unknown_flag(error.flagname)
    except flags.Error as error:
        problem = str(error)
    except (AttributeError, KeyError):
        # ml_collections raises these for a key that the configuration does not have, and leaves
        # it to us to find which one.
        problem = _unknown_key(arguments)
    except (OSError, ImportError, SyntaxError, TypeError, ValueError) as error:
        problem = f"--config: {error}"
    _stop(problem, USAGE_ERROR)


def _unknown_key(arguments: Sequence[str]) -> str:
    known = training.known_keys()
    for argument in arguments:
        name = argument.lstrip("-").partition("=")[0]
        key = name.removeprefix("config.")
        if name != key and not any(k == key or k.startswith(f"{key}.") for k in known):
            return _unknown_flag(name)
    return "--config: the file sets a key that does not exist"


def _unknown_flag(name: str) -> str:
    if name.startswith("config."):
        return f"--{name} is unknown; {training.nearest_key(name.removeprefix('config.'))}"
    known = [f"--{flag}" for flag in flags.FLAGS]
    hint = did_you_mean(f"--{name}", known, count=1, likeness=0.6).strip()
    return f"--{name} is unknown; {hint or '--help lists all flags'}"


def _stop(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    processes.leave(code)
