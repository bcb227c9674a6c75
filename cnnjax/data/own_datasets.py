"""Datasets of users that configurations name, by registration or by path."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cnnjax.data.dataset import Dataset
from cnnjax.data.errors import DataError
from cnnjax.data.examples import Examples
from cnnjax.data.folders import BOXES_PREFIXES, FOLDER_PREFIX, MASKS_PREFIX
from cnnjax.parts import Registry, is_path

DATASETS = Registry("dataset", example="my_package.data:load")
"""Functions without arguments that return `Splits`, by name; a path such as `my_package.data:load`
is found too."""


@dataclass(frozen=True, eq=False)
class Splits:
    """The examples of a user's dataset.

    Attributes:
        train: examples for training.
        test: examples for evaluation; None to hold out training examples for it.
        class_names: a name for each label, where there are labels.
        mean: mean of the training pixels per channel, on the scale 0 to 1.
        std: standard deviation of the training pixels per channel, on the scale 0 to 1.
        source: where the examples come from.
    """

    train: Examples
    test: Examples | None = None
    class_names: tuple[str, ...] = ()
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    source: str = "own"

    def split(self, name: str) -> Examples:
        """Returns the examples of a split.

        Args:
            name: "train" or "test".

        Raises:
            DataError: there is no such split.
        """
        found = {"train": self.train, "test": self.test}.get(name)
        if found is None:
            raise DataError(f"dataset: there is no split {name}")
        return found

    def describe(self, name: str) -> Dataset:
        """Returns the description that a run needs.

        Args:
            name: name of the dataset.

        Raises:
            DataError: the examples have no part named `image`.
        """
        form = self.train.require("image").shape
        sizes = {"train": len(self.train)}
        if self.test is not None:
            sizes["test"] = len(self.test)
        # A single value of `mean` and `std` is that of all channels.
        channels = form[2]
        return Dataset(
            name=name,
            image_shape=(form[0], form[1], channels),
            class_names=self.class_names,
            split_sizes=sizes,
            mean=self.mean if len(self.mean) > 1 else self.mean * channels,
            std=self.std if len(self.std) > 1 else self.std * channels,
            source=self.source,
        )


def register_dataset(name: str) -> Callable[[Any], Any]:
    """Returns a decorator that registers a function that returns `Splits` under a name.

    Args:
        name: the dataset's name, for `data.name` of a configuration.
    """
    return DATASETS.register(name)


def own_name(name: str) -> bool:
    """Returns whether a name is that of a user's dataset, or the path of one.

    Args:
        name: the name.
    """
    # A folder's name may look like a path: "voc:data".
    foreign = name.startswith((FOLDER_PREFIX, MASKS_PREFIX, *BOXES_PREFIXES))
    return name in DATASETS or (is_path(name) and not foreign)


def own_dataset(name: str) -> Splits | None:
    """Returns a user's dataset; None where the name is not that of one.

    Args:
        name: a registered name, or a path such as `my_package.data:load`.

    Raises:
        PartError: there is nothing at a path.
        DataError: the function does not return `Splits`.
    """
    if not own_name(name):
        return None
    made = DATASETS.get(name)()
    if not isinstance(made, Splits):
        raise DataError(
            f"data.name: {name} returned {type(made).__name__}; a dataset of your own is a "
            "function without arguments that returns cnnjax.data.Splits(train, test, class_names)"
        )
    return made
