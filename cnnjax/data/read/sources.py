"""Stored images by position, still encoded: files of a folder, or records of a prepared set."""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Int32

from cnnjax.data.dataset import Dataset
from cnnjax.data.errors import DataError
from cnnjax.data.folders import MASKS_PREFIX, list_split
from cnnjax.data.kept_arrays import kept_arrays
from cnnjax.data.prepare.embedded import require_prepared
from cnnjax.data.read.decode import DamagedImage
from cnnjax.data.read.mask_folders import list_pairs
from cnnjax.data.read.tfds_store import open_prepared, prepare_again
from cnnjax.data.user_files import read_regular
from cnnjax.writing import printable


class Encoded(NamedTuple):
    """One stored example.

    Attributes:
        content: content of its image file.
        parts: its other parts by name: a label is a number, a mask the content of its file, and
            others are arrays.
    """

    content: bytes
    parts: Mapping[str, Any]


class Source(Protocol):
    """A split that is read by position from any thread or process."""

    def __len__(self) -> int:
        """Returns the number of examples."""
        ...

    def __getitem__(self, position: int) -> Encoded:
        """Returns the example at a position.

        Raises:
            OSError: the example cannot be read, but others may be.
            DamagedImage: likewise.
            DataError: the whole set is gone.
        """
        ...

    def name(self, position: int) -> str:
        """Returns a name by which a user finds an example.

        Args:
            position: position of the example.
        """
        ...

    @property
    def labels(self) -> Int32[np.ndarray, " examples"]:
        """The labels of all examples."""
        ...


class FolderSource:
    """A split of a folder of images by class.

    Args:
        dataset: the set, from `folders.folder_dataset`.
        split: "train" or "test".
    """

    def __init__(self, dataset: Dataset, split: str):
        listing = list_split(dataset, split)
        self._folder = dataset.folder
        self._paths: Sequence[Path] = listing.paths
        self.labels = np.array(listing.labels, np.int32)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, position: int) -> Encoded:
        try:
            content = read_regular(self._paths[position])
        except OSError as error:
            _require_folder(self._folder, error)
            raise
        return Encoded(content, {"label": int(self.labels[position])})

    def name(self, position: int) -> str:
        """Returns the path of an image file.

        Args:
            position: position of the example.
        """
        return printable(self._paths[position])


class MaskFolderSource:
    """A split of a folder of images and masks.

    Args:
        dataset: the set, from `mask_folders.mask_folder_dataset`.
        split: "train" or "test".
    """

    def __init__(self, dataset: Dataset, split: str):
        self._pairs = list_pairs(dataset, split)
        self._folder = dataset.folder

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, position: int) -> Encoded:
        pair = self._pairs[position]
        try:
            return Encoded(read_regular(pair.image), {"mask": read_regular(pair.mask)})
        except OSError as error:
            _require_folder(self._folder, error)
            raise

    def name(self, position: int) -> str:
        """Returns the path of an image file.

        Args:
            position: position of the example.
        """
        return printable(self._pairs[position].image)

    @property
    def labels(self) -> Int32[np.ndarray, " examples"]:
        """Raises an error: these images have masks, and no labels."""
        raise DataError("part: 'label' is unknown; a folder of masks has the parts image and mask")


class PreparedSource:
    """A split of a set that TFDS prepared as array_record.

    Args:
        dataset: the set, from `catalogue.dataset`.
        split: "train" or "test".
        data_dir: TFDS data folder; None means TFDS's default.

    Raises:
        DataError: the set is not prepared, or the split is missing or has another size.
    """

    def __init__(self, dataset: Dataset, split: str, data_dir: str | None):
        self._folder = require_prepared(dataset, data_dir)
        self._name = dataset.tfds_name
        self._stored_split = dataset.stored_split(split)
        self._parts = {part: dataset.features.get(part, part) for part in dataset.parts}
        self._size = dataset.split_sizes[split]
        self._remedy = prepare_again(dataset.tfds_name, data_dir)
        if len(self._records) != self._size:
            raise DataError(
                f"{dataset.name}/{split} in {self._folder}: {len(self._records)} examples, "
                f"expected {self._size}; {self._remedy}"
            )

    @cached_property
    def _records(self) -> Any:
        import tensorflow_datasets as tfds

        builder = open_prepared(self._folder)
        if self._stored_split not in builder.info.splits:
            raise DataError(
                f"{self._folder}: there is no split {self._stored_split!r}; it has "
                f"{sorted(builder.info.splits)}: {self._remedy}"
            )
        images = (tfds.features.Image, tfds.features.LabeledImage)
        # Images stay encoded: OpenCV decodes them, like the files of folders.
        undecoded = {
            name: tfds.decode.SkipDecoding()
            for name, feature in builder.info.features.items()
            if isinstance(feature, images)
        }
        return builder.as_data_source(split=self._stored_split, decoders=undecoded)

    def __getstate__(self) -> dict[str, Any]:
        # Open files cannot be sent to other processes, which open them again.
        return {key: value for key, value in self.__dict__.items() if key != "_records"}

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, position: int) -> Encoded:
        try:
            record = self._records[int(position)]
        # array_record's error for a missing file, and for records that differ from its digests.
        except RuntimeError as error:
            _require_folder(self._folder, error)
            raise DamagedImage(str(error)) from error
        return Encoded(record["image"], {part: record[name] for part, name in self._parts.items()})

    def name(self, position: int) -> str:
        """Returns the folder, the split and the position of an example.

        Args:
            position: position of the example.
        """
        return f"{self._folder}, {self._stored_split}[{position}]"

    @property
    def labels(self) -> Int32[np.ndarray, " examples"]:
        """The labels of all examples; read once, then kept beside the prepared set."""
        path = self._folder / f"{self._stored_split}-labels.npy"
        (labels,) = kept_arrays([path], f"{self._name}/{self._stored_split}", self._read_labels)
        return labels

    def _read_labels(self) -> list[np.ndarray]:
        try:
            labels = [int(self[position].parts["label"]) for position in range(len(self))]
        except DamagedImage as error:
            raise DataError(f"{self._folder} is damaged: {error}; {self._remedy}") from error
        return [np.array(labels, np.int32)]


def _require_folder(folder: Path | None, error: Exception) -> None:
    """Raises an error if a folder is gone: one file may be damaged, but now every read fails."""
    if folder is None or not os.path.isdir(folder):
        raise DataError(
            f"dataset: the folder {printable(folder or '')} is gone; restore it and start the run "
            "again: it continues from its last checkpoint"
        ) from error


def open_source(dataset: Dataset, split: str, data_dir: str | None) -> Source:
    """Opens a split for reading by position.

    Args:
        dataset: the set, from `catalogue.dataset`.
        split: "train" or "test".
        data_dir: TFDS data folder; None means TFDS's default.

    Raises:
        DataError: the set has no such split, is not prepared, or not in the expected form.
    """
    if split not in dataset.split_sizes:
        raise DataError(
            f"split: {split!r} is unknown for {dataset.name}; it has {sorted(dataset.split_sizes)}"
        )
    if dataset.folder is not None:
        masks = dataset.name.startswith(MASKS_PREFIX)
        return MaskFolderSource(dataset, split) if masks else FolderSource(dataset, split)
    return PreparedSource(dataset, split, data_dir)
