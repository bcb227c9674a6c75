"""The tasks that configurations name, and the registry of further ones."""

from collections.abc import Callable
from typing import Any

from cnnjax.parts import Registry
from cnnjax.tasks.boxes import Detection, Localization
from cnnjax.tasks.classification import Classification
from cnnjax.tasks.segmentation import Segmentation

TASKS = Registry("task", example="my_package.tasks:Depth")
"""Task classes by name; a path such as `my_package.tasks:Depth` is found too."""

TASKS.add("classification", Classification)
TASKS.add("localization", Localization)
TASKS.add("detection", Detection)
TASKS.add("segmentation", Segmentation)


def register_task(name: str) -> Callable[[Any], Any]:
    """Returns a decorator that gives a task class a name for configurations.

    Args:
        name: the value of `task.name` in a configuration.
    """
    return TASKS.register(name)
