"""The configuration files that --config names: by path, or by name, the user's and cnnjax's own."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import cnnjax
from cnnjax import training
from cnnjax.commands.help.columns import prose
from cnnjax.commands.named_files import named_files
from cnnjax.nearest import nearest_names

FOLDER = Path("experiments", "configs")
"""Where a project has its own configurations. In cnnjax's clone it is a link to `READY`."""

READY = Path(cnnjax.__file__).parent / "configurations"
"""The configurations that come with cnnjax."""

ROOMS = (".", "dense")
"""Folders within these that hold configurations."""


def resolve(arguments: Sequence[str]) -> list[str]:
    """Returns a command line that starts with --config, the path of a file that exists.

    Args:
        arguments: the program's name and all that follows it.

    Raises:
        ConfigError: --config is missing, or has no value, or names no file.
    """
    program, *given = arguments
    rest: list[str] = []
    path = None
    while given:
        argument = given.pop(0)
        # No flags follow.
        if argument == "--":
            rest += [argument, *given]
            break
        match = re.fullmatch(r"--?config(?:=(.*))?", argument, re.DOTALL)
        if match is None:
            rest.append(argument)
            continue
        # Where another flag follows, the value is missing.
        is_missing = match[1] is None and (not given or given[0].startswith("-"))
        path = find("" if is_missing else given.pop(0) if match[1] is None else match[1])
    # A flag file may hold the flag too.
    if path is None and not any(re.match(r"--?flagfile\b", argument) for argument in rest):
        raise training.ConfigError(missing())
    # It comes first: ml_collections knows the keys only after it.
    return [program, *([] if path is None else [f"--config={path}"]), *rest]


def find(name: str) -> str:
    """Returns the path of a configuration file, ":ARGUMENT" for its `get_config` included.

    Args:
        name: a path, or the name of a file in the current folder's `experiments/configs`, or of one
            that comes with cnnjax.

    Raises:
        ConfigError: there is no such file; the nearest names are given.
    """
    file, colon, argument = name.partition(":")
    if not file:
        raise training.ConfigError(missing())
    path = Path(file)
    if not path.is_file() and path.parent == Path("."):
        # A name, then.
        path = known().get(file.removesuffix(".py"), path)
    if not path.is_file():
        problem = "is a folder, not a file" if path.is_dir() else "was not found"
        raise training.ConfigError(f"--config: {file} {problem}; {_nearest(file)}")
    folder = path.resolve().parent
    folder = folder.parent if folder.name in ROOMS else folder
    if folder.parts[-2:] == FOLDER.parts and str(folder.parents[1]) not in sys.path:
        # Configurations import each other as `experiments.configs.NAME`.
        sys.path.append(str(folder.parents[1]))
    return f"{path}{colon}{argument}"


def known() -> dict[str, Path]:
    """Returns the files by name: the current folder's own, in `FOLDER`, and those of `READY`."""
    return named_files(*(folder / room for folder in (FOLDER, READY) for room in ROOMS))


def missing() -> str:
    """Returns the message for a command line without --config."""
    names = sorted(known())
    if not names:
        return (
            "--config: give a configuration file, --config=FILE.py, whose get_config() returns a "
            "changed recipes.default_config()"
        )
    return (
        "--config: give a configuration file, or the name of one: --config=NAME; "
        f"there are:\n{prose(', '.join(names), 2)}"
    )


def _nearest(file: str) -> str:
    names = sorted(known())
    nearest = nearest_names(Path(file).stem, names, likeness=0.5)
    if nearest:
        return f"did you mean {' or '.join(nearest)}?"
    if names:
        return f"there are:\n{prose(', '.join(names), 2)}"
    return "give the path of a configuration file"
