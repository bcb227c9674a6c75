"""Small image sets as whole arrays: decoded once from the TFDS files, then kept as .npy."""

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8

from cnnjax.data.catalogue import Dataset

_logger = logging.getLogger(__name__)


class ImageArrays(NamedTuple):
    """A split in memory: images as stored, and their labels."""

    images: UInt8[np.ndarray, "examples height width channels"]
    labels: Int32[np.ndarray, " examples"]


def load_arrays(dataset: Dataset, split: str, data_dir: str | None = None) -> ImageArrays:
    """Reads one split whole; builds the set first where it needs no network.

    The decoded arrays are kept beside the prepared set, so that only the first call decodes.

    Args:
        dataset: the set, from `catalogue.dataset`.
        split: "train" or "test".
        data_dir: TFDS data folder; None means TFDS's default (`TFDS_DATA_DIR`, or
            `~/tensorflow_datasets`).

    Returns:
        The images, uint8 [examples, height, width, channels], and labels, int32 [examples].

    Raises:
        ValueError: the split is unknown, or what was read is not what the catalogue promises.
        OSError: the data folder cannot be written.
    """
    if split not in dataset.split_sizes:
        raise ValueError(
            f"split: {split!r} is unknown for {dataset.name}; it has {sorted(dataset.split_sizes)}"
        )
    # TFDS takes long to import, and a kept copy needs only the folder's name: but that name
    # (version, configuration) is the builder's to give.
    builder = dataset.builder(data_dir)
    folder = Path(builder.data_dir)
    images_file, labels_file = (folder / f"{split}-{part}.npy" for part in ("images", "labels"))
    if not (images_file.exists() and labels_file.exists()):
        _logger.info("building %s in %s", dataset.name, folder)
        with _quiet_tfds():
            builder.download_and_prepare()
            decoded = _decode(builder, dataset, split)
        _write_aside(images_file, decoded.images)
        _write_aside(labels_file, decoded.labels)
    arrays = ImageArrays(np.load(images_file), np.load(labels_file))
    _check(arrays, dataset, split, folder)
    return arrays


@contextlib.contextmanager
def _quiet_tfds() -> Iterator[None]:
    """Keeps TFDS from printing to standard output, and from advising faster JPEG decoders.

    Both are of use for a set that takes minutes, and noise for one that takes a second.
    """
    import tensorflow_datasets as tfds

    advice = logging.getLogger("absl")
    level = advice.level
    tfds.disable_progress_bar()
    advice.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        advice.setLevel(level)
        tfds.enable_progress_bar()


def _decode(builder, dataset: Dataset, split: str) -> ImageArrays:
    source = builder.as_data_source(split=split)
    images = np.empty((len(source), *dataset.image_shape), np.uint8)
    labels = np.empty(len(source), np.int32)
    for position, example in enumerate(source):
        images[position] = example["image"]
        labels[position] = example["label"]
    return ImageArrays(images, labels)


def _check(arrays: ImageArrays, dataset: Dataset, split: str, folder: Path) -> None:
    expected = (dataset.split_sizes[split], *dataset.image_shape)
    if arrays.images.shape != expected or arrays.labels.shape != expected[:1]:
        raise ValueError(
            f"{dataset.name}/{split} in {folder}: images {arrays.images.shape} and labels "
            f"{arrays.labels.shape}, expected images "
            f"{expected}; delete that folder to build it anew"
        )


def _write_aside(path: Path, array: np.ndarray) -> None:
    """Writes a file in full before it gets its name, so that no reader sees half of it."""
    handle, aside = tempfile.mkstemp(dir=path.parent, suffix=".incomplete")
    with os.fdopen(handle, "wb") as file:
        np.save(file, array)
    os.replace(aside, path)
