"""A study, or a search, read from its file."""

import importlib.util
import sys
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnjax.nearest import did_you_mean
from cnnjax.studies.search.search import Search
from cnnjax.studies.study import Source, Study
from cnnjax.training.errors import ConfigError


def load_study(file: str | Path, scale: str | None = None) -> Study:
    """Returns the study that a file describes.

    The file has a function `get_study()`. One with several scales has `SCALES`, a description of
    each scale by name, and its `get_study(scale)` takes the name.

    Args:
        file: the file's path.
        scale: one of the file's scales; None for its first, or where it has none.

    Raises:
        ConfigError: there is no such file or scale, the file fails, or what it returns is no study.
    """
    study = load(file, scale)
    if not isinstance(study, Study):
        raise ConfigError(f"--study: {file} describes a search; load it with studies.load_search")
    return study


def load_search(file: str | Path, scale: str | None = None) -> Search:
    """Returns the search that a file describes; see `load_study`.

    Args:
        file: the file's path.
        scale: one of the file's scales; None for its first, or where it has none.

    Raises:
        ConfigError: there is no such file or scale, the file fails, or what it returns is no
            search.
    """
    search = load(file, scale)
    if not isinstance(search, Search):
        raise ConfigError(f"--study: {file} describes a study; load it with studies.load_study")
    return search


def load(file: str | Path, scale: str | None = None) -> Study | Search:
    """Returns the study or search that a file describes; see `load_study`.

    Args:
        file: the file's path.
        scale: one of the file's scales; None for its first, or where it has none.

    Raises:
        ConfigError: there is no such file or scale, the file fails, or what it returns is neither.
    """
    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"--study: {path} was not found; give the path of a study's file")
    module = _executed(path)
    get_study = module.get("get_study")
    if not callable(get_study):
        raise ConfigError(f"--study: {path} has no function get_study; it returns a studies.Study")
    scale = _chosen(path, module.get("SCALES"), scale)
    try:
        study = get_study() if scale is None else get_study(scale)
    except ConfigError as error:
        raise ConfigError(f"--study: {path}: {error}") from error
    except Exception as error:
        raise _failed(path, error) from error
    if not isinstance(study, Study | Search):
        raise ConfigError(
            f"--study: get_study of {path} returned {type(study).__name__}; return a studies.Study "
            "or a studies.Search"
        )
    return replace(study, source=Source(path.absolute(), scale))


def scales_of(file: str | Path) -> Mapping[str, str]:
    """Returns the scales of a study's file, with what each is; empty where it has none.

    Args:
        file: the file's path.

    Raises:
        ConfigError: the file fails.
    """
    return _executed(Path(file)).get("SCALES") or {}


def _executed(path: Path) -> dict[str, Any]:
    name = f"study_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--study: {path} is no Python file; give one, NAME.py")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up the module that defines them.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except ConfigError as error:
        raise ConfigError(f"--study: {path}: {error}") from error
    except (Exception, SystemExit) as error:
        raise _failed(path, error) from error
    return vars(module)


def _chosen(path: Path, scales: Any, scale: str | None) -> str | None:
    if not scales:
        if scale is not None:
            raise ConfigError(f"--scale: {path} has no scales; leave it out")
        return None
    if not isinstance(scales, Mapping):
        raise ConfigError(f"--study: SCALES of {path} is no mapping of names to descriptions")
    if scale is None:
        return next(iter(scales))
    if scale not in scales:
        hint = did_you_mean(scale, scales, count=1)
        raise ConfigError(
            f"--scale: {path.name} has no scale {scale!r}; {hint}there are {', '.join(scales)}"
        )
    return scale


def _failed(path: Path, error: BaseException) -> ConfigError:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    where = f", line {frames[-1].lineno}" if frames else ""
    if isinstance(error, SyntaxError):
        where = f", line {error.lineno}"
    return ConfigError(
        f"--study: {path}{where} fails with {type(error).__name__}: {error}; fix that first"
    )
