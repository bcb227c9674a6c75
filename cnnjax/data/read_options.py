"""How examples reach the device: all at once, or batch by batch."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cnnjax.data.dataset import Dataset
from cnnjax.data.errors import DataError
from cnnjax.data.examples import Examples
from cnnjax.data.read.reader import Workers

Resident = Literal["auto", "always", "never"]
"""Whether a set is kept on the device whole; see `ReadOptions`."""

RESIDENT_BYTES = 2 * 2**30
"""Sets whose pixels, all splits together, take more than this are streamed unless asked for."""


@dataclass(frozen=True)
class ReadOptions:
    """How examples are read; results do not depend on it.

    Attributes:
        resident: whether the set is kept on the device whole: `auto` if its images have one size
            and take `RESIDENT_BYTES` at most, `always`, or `never`.
        workers: who decodes what is streamed.
        max_damaged: how many images may be unreadable before a reader stops.
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


def kept_on_device(examples: Examples, resident: Resident = "auto") -> bool:
    """Says whether examples are kept on the device whole: those in memory may be.

    Raises:
        DataError: they are not in memory, and `always` was asked for.
    """
    if examples.arrays is None:
        if resident == "always":
            raise DataError(
                "resident: the examples are read when they are asked for, and are streamed; "
                "give auto or never, or data.from_arrays(…)"
            )
        return False
    size = sum(array.nbytes for array in examples.arrays.values())
    return resident == "always" or (resident == "auto" and size <= RESIDENT_BYTES)
