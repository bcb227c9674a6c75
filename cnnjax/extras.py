"""Packages that only some uses need: a missing one is named with the command that installs it."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager


class MissingPackage(ImportError):
    """A package of one of cnnjax's extras is not installed."""


@contextmanager
def installed_with(extra: str) -> Iterator[None]:
    """Runs imports in its block; the error of a missing package names the command to install it.

        with installed_with("report"):
            import matplotlib

    Args:
        extra: the extra of cnnjax that brings the packages, as in `pip install "cnnjax[extra]"`.

    Raises:
        MissingPackage: one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        # The package rather than the module in it: pip installs packages.
        raise _missing([(error.name or str(error)).partition(".")[0]], extra) from None


def check_installed(extra: str, *packages: str) -> None:
    """Makes sure, without importing them, that packages are installed.

    Args:
        extra: the extra of cnnjax that brings them.
        *packages: by the names under which they are imported.

    Raises:
        MissingPackage: some of them are not.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise _missing(missing, extra)


def _missing(packages: list[str], extra: str) -> MissingPackage:
    return MissingPackage(
        f"this needs {' and '.join(packages)}, which {'is' if len(packages) == 1 else 'are'} not "
        f'installed; install with pip install "cnnjax[{extra}]"',
        name=packages[0],
    )
