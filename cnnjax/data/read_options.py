"""How examples reach the device: all at once, or batch by batch."""

import math
from dataclasses import dataclass, field
from typing import Literal

from cnnjax.data.dataset import Dataset
from cnnjax.data.errors import DataError
from cnnjax.data.examples import Examples
from cnnjax.data.read.decode import MAX_PIXELS
from cnnjax.data.read.reader import Workers

Resident = Literal["auto", "always", "never"]
"""Whether a whole set is kept on the device; see `ReadOptions`."""

RESIDENT_BYTES = 2 * 2**30
"""Sets whose pixels, all splits together, take more bytes than this are streamed under "auto"."""


@dataclass(frozen=True)
class ReadOptions:
    """How examples are read; results do not depend on these options.

    Attributes:
        resident: whether the whole set is kept on the device: "auto" if its images have one size
            and take `RESIDENT_BYTES` at most, "always", or "never".
        workers: threads and processes that decode streamed images.
        max_damaged: largest number of unreadable images with which a reader goes on.
        max_pixels: largest number of pixels of a streamed image; larger ones count as unreadable,
            and no memory is taken for them.

    Raises:
        ValueError: a number is too small.
    """

    resident: Resident = "auto"
    workers: Workers = field(default_factory=Workers)
    max_damaged: int = 10
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if self.max_damaged < 0 or self.max_pixels < 1:
            raise ValueError(
                f"max_damaged: {self.max_damaged} and max_pixels: {self.max_pixels} were given; "
                "give 0 images or more, and 1 pixel or more"
            )


def is_resident(dataset: Dataset, resident: Resident = "auto") -> bool:
    """Returns whether a whole set is kept on the device.

    Args:
        dataset: the set.
        resident: "auto", "always" or "never"; see `ReadOptions`.

    Raises:
        DataError: `resident` is "always", but the images have many sizes.
    """
    if dataset.image_shape is None:
        if resident == "always":
            raise DataError(
                f"resident: the images of {dataset.name} have many sizes, and are streamed; "
                "give auto or never"
            )
        return False
    parts = dataset.spec(dataset.image_shape).values()
    # Pixels of images and masks are uint8: one byte for each value.
    example = sum(math.prod(part.shape) for part in parts if part.kind in ("image", "mask"))
    size = sum(dataset.split_sizes.values()) * example
    return resident == "always" or (resident == "auto" and size <= RESIDENT_BYTES)


def kept_on_device(examples: Examples, resident: Resident = "auto") -> bool:
    """Returns whether all examples are kept on the device; only those in memory can be.

    Args:
        examples: the examples.
        resident: "auto", "always" or "never"; see `ReadOptions`.

    Raises:
        DataError: `resident` is "always", but the examples are not in memory.
    """
    if examples.arrays is None:
        if resident == "always":
            raise DataError(
                "resident: the examples are read on demand, and are streamed; "
                "give auto or never, or data.from_arrays(…)"
            )
        return False
    size = sum(array.nbytes for array in examples.arrays.values())
    return resident == "always" or (resident == "auto" and size <= RESIDENT_BYTES)
