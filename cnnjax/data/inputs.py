"""How the examples of a split reach the device: whole and at once, or streamed batch by batch."""

from dataclasses import dataclass, field
from importlib import metadata
from typing import Literal

import numpy as np

from cnnjax.data.dataset import Dataset
from cnnjax.data.errors import DataError
from cnnjax.data.read.arrays import ImageArrays, load_arrays
from cnnjax.data.read.encoded import EncodedImages, load_encoded
from cnnjax.data.read.framing import Framing
from cnnjax.data.read.reader import Workers

Resident = Literal["auto", "always", "never"]
"""Whether a set is kept on the device whole; see `Inputs`."""

RESIDENT_BYTES = 2 * 2**30
"""Sets whose pixels, all splits together, take more than this are streamed unless asked for."""

Examples = ImageArrays | EncodedImages
"""A split: whole in memory, or decoded when asked for. Both have `images` and `labels`."""


@dataclass(frozen=True)
class Inputs:
    """How images are read; results do not depend on it.

    Attributes:
        resident: whether the set is kept on the device whole: `auto` if its images have one size
            and take `RESIDENT_BYTES` at most, `always`, or `never`.
        workers: who decodes what is streamed.
        max_damaged: how many images may be unreadable before a stream stops.
    """

    resident: Resident = "auto"
    workers: Workers = field(default_factory=Workers)
    max_damaged: int = 10


def is_resident(dataset: Dataset, resident: Resident = "auto") -> bool:
    """Says whether a set is kept on the device whole.

    Raises:
        DataError: it cannot be, and `always` was asked for.
    """
    if dataset.image_shape is None:
        if resident == "always":
            raise DataError(
                f"resident: the images of {dataset.name} have many sizes, and are streamed; "
                "give auto or never"
            )
        return False
    size = sum(dataset.split_sizes.values()) * int(np.prod(dataset.image_shape))
    return resident == "always" or (resident == "auto" and size <= RESIDENT_BYTES)


def describe_examples(dataset: Dataset, examples: Examples) -> dict[str, str]:
    """Returns what decides the pixels and their order, besides the configuration."""
    described = {"set": f"{dataset.name} {dataset.version}"}
    if isinstance(examples, EncodedImages):
        described["decoder"] = f"opencv {metadata.version('opencv-python-headless')}"
    return described


def load_examples(
    dataset: Dataset,
    split: str,
    data_dir: str | None = None,
    *,
    framing: Framing | None = None,
    chosen: np.ndarray | None = None,
    resident: Resident = "auto",
) -> Examples:
    """Reads a split whole where it is to be resident, and opens it for streaming elsewhere.

    Args:
        dataset: the set, from `catalogue.dataset`.
        split: "train" or "test".
        data_dir: TFDS data folder; None means TFDS's default.
        framing: needed where the images have many sizes, and only there.
        chosen: positions of the examples that are wanted; None for all.
        resident: see `Inputs`.

    Raises:
        DataError: the set is not prepared, gone, or not what it should be.
    """
    if not is_resident(dataset, resident):
        return load_encoded(dataset, split, data_dir, framing=framing, chosen=chosen)
    arrays = load_arrays(dataset, split, data_dir)
    if chosen is None:
        return arrays
    return ImageArrays(arrays.images[chosen], arrays.labels[chosen])
