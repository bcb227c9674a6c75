"""Images that stay encoded until they are wanted: what sets too large for memory are read by."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int32, UInt8

from cnnjax.data.dataset import Dataset
from cnnjax.data.read.decode import DamagedImage, decode_image
from cnnjax.data.read.framing import Framing
from cnnjax.data.read.sources import Source, open_source

FILL = 128
"""Value of the pixels that stand for an image that cannot be decoded."""


@dataclass(frozen=True)
class EncodedImages:
    """Chosen examples of a split, decoded when they are asked for.

    Attributes:
        source: the whole split.
        chosen: positions within it, in the order in which they are numbered here; None for all.
        framing: how photographs of many sizes get one; None for images that have one size.
        image_shape: height, width and channels of what comes out.
    """

    source: Source
    chosen: Int32[np.ndarray, " examples"] | None
    framing: Framing | None
    image_shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.source) if self.chosen is None else len(self.chosen)

    @property
    def labels(self) -> Int32[np.ndarray, " examples"]:
        """All labels."""
        labels = self.source.labels
        return labels if self.chosen is None else labels[self.chosen]

    @cached_property
    def images(self) -> "FramedImages":
        """The images, indexed as an array is; each is decoded anew whenever it is indexed."""
        return FramedImages(self)

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> tuple[UInt8[np.ndarray, "height width channels"], int]:
        """Reads one example.

        Args:
            position: which.
            generator: draws how the image is framed in training; None frames as in evaluation.

        Returns:
            The image and the label.

        Raises:
            DamagedImage: the image cannot be decoded, or has another size than all should have.
            OSError: it cannot be read.
            DataError: the whole set is gone.
        """
        stored = position if self.chosen is None else int(self.chosen[position])
        content, label = self.source[stored]
        image = decode_image(content, self.image_shape[2])
        if self.framing is not None:
            framed = self.framing.train(image, generator) if generator else None
            return self.framing.evaluate(image) if framed is None else framed, label
        if image.shape != self.image_shape:
            raise DamagedImage(f"it is {image.shape}, expected {self.image_shape}")
        return image, label

    def first(self, count: int) -> "EncodedImages":
        """Returns the first examples alone."""
        return self.take(np.arange(min(count, len(self))))

    def take(self, positions: Int32[np.ndarray, " chosen"]) -> "EncodedImages":
        """Returns the examples at these positions alone."""
        chosen = np.arange(len(self)) if self.chosen is None else self.chosen
        return dataclasses.replace(self, chosen=chosen[positions].astype(np.int32))

    def name(self, position: int) -> str:
        """Returns what a user finds an example by."""
        return self.source.name(position if self.chosen is None else int(self.chosen[position]))


class FramedImages:
    """The images of a split, framed as in evaluation, as an array that decodes when indexed.

    An image that cannot be read is grey.
    """

    def __init__(self, encoded: EncodedImages):
        self._encoded = encoded
        self.shape = (len(encoded), *encoded.image_shape)
        self.ndim = 4
        self.dtype = np.dtype(np.uint8)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: int | slice | Sequence[int] | np.ndarray) -> np.ndarray:
        wanted = np.arange(len(self))[which]
        images = np.full((wanted.size, *self.shape[1:]), FILL, np.uint8)
        for row, position in enumerate(wanted.reshape(-1)):
            try:
                images[row], _ = self._encoded.read(int(position))
            except (DamagedImage, OSError):
                continue
        return images.reshape(*wanted.shape, *self.shape[1:])


def load_encoded(
    dataset: Dataset,
    split: str,
    data_dir: str | None = None,
    *,
    framing: Framing | None = None,
    chosen: np.ndarray | None = None,
) -> EncodedImages:
    """Opens a split for reading by position.

    Args:
        dataset: the set, from `catalogue.dataset`.
        split: "train" or "test".
        data_dir: TFDS data folder; None means TFDS's default.
        framing: needed where the images have many sizes, and only there.
        chosen: which examples; None for all.

    Raises:
        DataError: see `open_source`.
        ValueError: framing is missing, or given for images of one size.
    """
    if (framing is None) == (dataset.image_shape is None):
        needed = "needs a framing" if framing is None else "has images of one size: no framing"
        raise ValueError(f"framing: {framing} was given, but {dataset.name} {needed}")
    shape = dataset.image_shape
    if shape is None:
        assert framing is not None  # checked above
        shape = framing.shape
    source = open_source(dataset, split, data_dir)
    return EncodedImages(
        source, None if chosen is None else chosen.astype(np.int32), framing, shape
    )
