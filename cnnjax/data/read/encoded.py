"""Images that stay encoded until they are read, for sets that do not fit into memory."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np

from cnnjax.data.dataset import Dataset
from cnnjax.data.examples import Examples, Spec
from cnnjax.data.read.decode import MAX_PIXELS
from cnnjax.data.read.framing import Framing
from cnnjax.data.read.sources import Source, open_source
from cnnjax.data.read.stored_parts import PartDecoder


@dataclass(frozen=True, eq=False)
class EncodedImages(Examples):
    """Images of a split and their further parts, decoded on demand.

    Attributes:
        source: the split.
        decoder: decodes and frames an example's parts.
        described: what identifies the split, as JSON.
    """

    source: Source
    decoder: PartDecoder
    described: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The form of each part."""
        return self.decoder.spec

    def __len__(self) -> int:
        return len(self.source)

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Reads one example.

        Args:
            position: position of the example.
            generator: draws how the image is framed in training; None frames as in evaluation.

        Returns:
            `image` uint8 [height, width, channels], and the set's other parts.

        Raises:
            DamagedImage: the image cannot be decoded, or does not have the size of the set.
            OSError: it cannot be read.
            DataError: the whole set is gone, or a part does not fit its image.
        """
        return self.decoder(self.source[position], self.source.name(position), generator)

    def column(self, part: str) -> np.ndarray:
        """Returns one part of all examples; see `Examples.column`.

        Args:
            part: name of the part; labels are read without decoding an image.
        """
        return self.source.labels if part == "label" else super().column(part)

    def name(self, position: int) -> str:
        """Returns the path or the place of one example; see `Examples.name`.

        Args:
            position: position of the example.
        """
        return self.source.name(position)

    def identity(self) -> dict[str, Any]:
        """Returns the set, the decoder and the framing; see `Examples.identity`."""
        # Decoders differ in the last bits of pixels, and so do their versions.
        decoder = f"opencv {metadata.version('opencv-python-headless')}"
        described = {**self.described, "decoder": decoder}
        if self.decoder.framing is not None:
            described["framing"] = {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in dataclasses.asdict(self.decoder.framing).items()
            }
        return described


def load_encoded(
    dataset: Dataset,
    split: str,
    data_dir: str | None = None,
    *,
    framing: Framing | None = None,
    max_pixels: int = MAX_PIXELS,
) -> EncodedImages:
    """Opens a split for reading by position.

    Args:
        dataset: the set, from `catalogue.dataset`.
        split: "train" or "test".
        data_dir: TFDS data folder; None means TFDS's default.
        framing: how photographs of many sizes get one; None for a set whose images have one size.
        max_pixels: larger images count as damaged; see `decode_image`.

    Raises:
        DataError: the split is unknown, the set is not prepared, or not in the expected form.
        ValueError: `framing` is missing, or given for images of one size.
    """
    if (framing is None) == (dataset.image_shape is None):
        needed = "needs a framing" if framing is None else "has images of one size: no framing"
        raise ValueError(f"framing: {framing} was given, but {dataset.name} {needed}")
    shape = dataset.image_shape
    if shape is None:
        assert framing is not None  # checked above
        shape = framing.shape
    source = open_source(dataset, split, data_dir)
    decoder = PartDecoder.of(dataset, shape, framing, max_pixels)
    return EncodedImages(source, decoder, dataset.describe(split))
