"""The images of examples as an array that decodes the indexed images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnjax.data.blank import blank_parts
from cnnjax.data.errors import DataError
from cnnjax.data.examples import Examples
from cnnjax.data.read.decode import DamagedImage


class LazyImages:
    """The images of examples, indexed like an array; each is read again whenever it is indexed.

    An image that cannot be read is gray.

    Args:
        examples: the examples that have the images.
        part: name of the part that holds the images.
    """

    def __init__(self, examples: Examples, part: str):
        self._examples = examples
        self._part = part
        self._spec = {part: examples.require(part)}
        self.shape = (len(examples), *self._spec[part].shape)
        self.ndim = len(self.shape)
        self.dtype = self._spec[part].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: int | slice | Sequence[int] | np.ndarray) -> np.ndarray:
        # NumPy turns an index of any kind into the positions that it selects.
        wanted = np.arange(len(self))[which]
        images = blank_parts(self._spec, wanted.size)[self._part]
        for row, position in enumerate(wanted.reshape(-1)):
            try:
                images[row] = self._examples.read(int(position))[self._part]
            except (DamagedImage, OSError):
                # The row stays gray.
                continue
        return images.reshape(*wanted.shape, *self.shape[1:])


def lazy_images(examples: Examples, part: str | None = None) -> Any:
    """Returns the images of examples, with `shape`, `dtype`, `len` and indices of all kinds.

    Args:
        examples: the examples that have the images.
        part: name of the part that holds the images; None for the first part of kind "image".

    Returns:
        The array itself where the examples are in memory, and `LazyImages` elsewhere.

    Raises:
        DataError: there are no images, or no such part.
    """
    if part is None:
        names = examples.parts_of_kind("image")
        if not names:
            raise DataError(
                f"images: the examples have none; their parts are {', '.join(examples.spec)}"
            )
        part = names[0]
    examples.require(part)
    return LazyImages(examples, part) if examples.arrays is None else examples.arrays[part]
