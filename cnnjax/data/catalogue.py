"""The image sets that are read by name, and what a network needs to know of each."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dataset:
    """An image-classification set.

    Attributes:
        name: name in the catalogue, also its TFDS name.
        image_shape: height, width and channels of a stored image.
        class_names: a name for each label, in label order.
        split_sizes: examples per split.
        mean: mean of the training pixels per channel, on the scale 0 to 1.
        std: standard deviation of the training pixels per channel, on the scale 0 to 1.
        builder: makes the TFDS builder for a data folder (None: TFDS's default folder).
        source: where the images come from.
    """

    name: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    split_sizes: dict[str, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    builder: Callable[[str | None], Any]
    source: str

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


def _digits_builder(data_dir: str | None) -> Any:
    from cnnjax.data.digits import Digits

    return Digits(data_dir=data_dir, file_format="array_record")


_CATALOGUE = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="digits",
            image_shape=(8, 8, 1),
            class_names=tuple("0123456789"),
            split_sizes={"train": 1437, "test": 360},
            mean=(0.3054,),
            std=(0.3760,),
            builder=_digits_builder,
            source="scikit-learn (UCI optical recognition of handwritten digits)",
        ),
    )
}


def list_datasets() -> list[str]:
    """Returns the names that `dataset` takes, sorted."""
    return sorted(_CATALOGUE)


def dataset(name: str) -> Dataset:
    """Returns the set of that name.

    Raises:
        ValueError: no set has that name; the message lists the nearest.
    """
    if name not in _CATALOGUE:
        nearest = difflib.get_close_matches(name, _CATALOGUE, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(nearest)}? " if nearest else ""
        raise ValueError(f"dataset: {name!r} is unknown; {hint}known: {', '.join(list_datasets())}")
    return _CATALOGUE[name]
