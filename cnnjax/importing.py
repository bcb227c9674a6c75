"""Imports of a user's modules and files, with errors that name what is missing and the fix."""

import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from cnnjax.nearest import did_you_mean


class PartError(ValueError):
    """A part that isn't found, can't be imported, or has a name that is taken."""


def import_part(what: str, path: str) -> Any:
    """Returns the object at a path, "package.module:Name"; the current folder is searched too.

    Args:
        what: what is imported, for messages.
        path: a module and a name in it, which may be dotted.

    Raises:
        PartError: there is no such module or name, or importing it fails.
    """
    module_name, _, attributes = path.partition(":")
    search_here()
    part: Any = import_module(what, module_name)
    reached = module_name
    for attribute in attributes.split("."):
        if not hasattr(part, attribute):
            public = [name for name in dir(part) if not name.startswith("_")]
            file = getattr(sys.modules[module_name], "__file__", None)
            raise PartError(
                f"{what}: {reached} has no {attribute!r}; {did_you_mean(attribute, public)}"
                f"it was read from {file or 'the session'}"
            )
        part = getattr(part, attribute)
        reached = f"{reached}.{attribute}"
    return part


def import_module(what: str, name: str) -> ModuleType:
    """Returns a module by its dotted name.

    Args:
        what: what is imported, for messages.
        name: the dotted name.

    Raises:
        PartError: there is none, or importing it fails.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only the module itself or a package above it; otherwise one of its own imports is missing.
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise PartError(
                f"{what}: there is no module {error.name}; the folder that holds it must be on "
                f"PYTHONPATH, or be the current one, which is {os.getcwd()}"
            ) from error
        raise _failed(what, name, error) from error
    except (Exception, SystemExit) as error:
        raise _failed(what, name, error) from error


def execute_file(what: str, module: str, file: str) -> None:
    """Executes a file as a module that isn't found by its name.

    Args:
        what: what is looked for in it, for messages.
        module: the name that the module had.
        file: its path.

    Raises:
        PartError: it is no Python file, or executing it fails.
    """
    # Not the name of another module: dataclasses look theirs up.
    name = f"{module}_of_a_run" if module in sys.modules else module
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PartError(f"{what}: {file} is no Python file; bring back the one that registered it")
    sys.modules[name] = loaded = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(loaded)
    except (Exception, SystemExit) as error:
        # As Python's own import does: a half-executed module would be found by the next one.
        del sys.modules[name]
        raise _failed(what, file, error) from error


def is_importable(module: str) -> bool:
    """Returns whether a module is found, which may import its packages.

    Args:
        module: its dotted name.
    """
    if module in sys.modules:
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def search_here() -> None:
    """Puts the current folder on the search path, where console scripts don't have it."""
    # Files written since the last import would be missed.
    importlib.invalidate_caches()
    here = os.getcwd()
    if "" not in sys.path and here not in sys.path:
        sys.path.insert(0, here)


def append_root(module: str, file: str) -> None:
    """Appends the folder to the search path from which a module in this file has its name.

    Args:
        module: the dotted name.
        file: the path of its file; one that doesn't end in the name's parts is ignored.
    """
    path = Path(file)
    path = path.parent if path.name == "__init__.py" else path.with_suffix("")
    names = module.split(".")
    root = path.parents[len(names) - 1] if len(path.parents) >= len(names) else None
    if root is None or list(path.relative_to(root).parts) != names:
        return  # a file executed under another name
    if str(root) not in sys.path:
        # At the end, where it hides no installed package.
        sys.path.append(str(root))


def _failed(what: str, source: str, error: BaseException) -> PartError:
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{last.filename}, line {last.lineno}"
    if isinstance(error, SyntaxError):
        where = f"{error.filename}, line {error.lineno}"
    return PartError(
        f"{what}: importing {source} failed with {type(error).__name__}: {error} ({where}); fix "
        "that first"
    )
