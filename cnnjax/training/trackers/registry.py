"""Trackers by name or by path."""

from collections.abc import Sequence

from cnnjax.importing import PartError
from cnnjax.parts import Registry
from cnnjax.training.callbacks import Callback
from cnnjax.training.errors import ConfigError
from cnnjax.training.trackers.mlflow_tracker import MlflowTracker
from cnnjax.training.trackers.tracker import MakeTracker

TRACKERS: Registry[MakeTracker] = Registry("tracker", "my_package.trackers:MyTracker")
TRACKERS.add("mlflow", MlflowTracker)


def make_trackers(names: Sequence[str]) -> list[Callback]:
    """Returns trackers, before any work.

    Args:
        names: of the registry, or paths such as "my_package.trackers:MyTracker".

    Raises:
        ConfigError: a name is unknown, or what it names makes no callback.
        MissingPackage: a package that a tracker needs is not installed.
    """
    made = []
    for name in names:
        try:
            tracker = TRACKERS.get(name)()
        except PartError as error:
            raise ConfigError(f"--tracker: {error}") from error
        except TypeError as error:
            raise ConfigError(f"--tracker: {name} is made without arguments: {error}") from error
        if not isinstance(tracker, Callback):
            raise ConfigError(
                f"--tracker: {name} makes {type(tracker).__name__}; give a class derived from "
                "training.Tracker or training.Callback"
            )
        made.append(tracker)
    return made
