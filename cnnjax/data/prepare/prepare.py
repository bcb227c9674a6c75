"""Preparing a set on disk, once, and reading it back to check it."""

import importlib.util
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnjax.data.catalogue import dataset, list_datasets
from cnnjax.data.data_folder import is_unwritable, preparing
from cnnjax.data.dataset import Dataset
from cnnjax.data.errors import DataError
from cnnjax.data.folders import BOXES_PREFIXES, FOLDER_PREFIX, MASKS_PREFIX
from cnnjax.data.prepare.embedded import EMBEDDED
from cnnjax.data.prepare.published_files import IDX_FILES, READERS, read_original
from cnnjax.data.read.arrays import load_arrays
from cnnjax.data.read.decode import DamagedImage, decode_image
from cnnjax.data.read.sources import Source, open_source
from cnnjax.data.read.tfds_store import (
    data_folder,
    find_prepared,
    prepare_again,
    quiet_tfds,
    refuse_unfinished,
)

MEAN_TOLERANCE = 5e-4
"""Largest allowed difference of the mean and deviation from the catalogue's, which are rounded.

It does not apply to sets of many sizes, whose figures in the catalogue are those of ImageNet.
"""

_SAMPLE = 1000
"""Number of photographs from which the mean and deviation of a set of many sizes are computed."""


@dataclass(frozen=True)
class Prepared:
    """The description of a prepared set that was read back.

    Attributes:
        folder: folder of the prepared set.
        split_sizes: examples per split.
        mean: mean of the training pixels per channel, on the scale 0 to 1.
        std: their standard deviation per channel.
        pixels_of: number of training images from which `mean` and `std` were computed.
        seconds: duration of preparing and reading back; None if it was prepared before.
    """

    folder: Path
    split_sizes: dict[str, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pixels_of: int
    seconds: float | None


def prepare(name: str, source: str | None = None, data_dir: str | None = None) -> Prepared:
    """Prepares a set as array_record, unless it is prepared already, and reads it back.

    Args:
        name: a TFDS name, with /CONFIGURATION where the set has several.
        source: for mnist, fashion_mnist and cifar10 the folder of the original files, from which
            they are prepared without TensorFlow or a network; for sets that must be downloaded
            manually (imagenet2012) the folder of the downloads.
        data_dir: TFDS data folder; None means TFDS's default.

    Raises:
        DataError: the name is unknown, files are missing or not the published ones, TensorFlow is
            needed and not installed, or the set that was read back differs from the catalogue.
        DataFolderError: the data folder cannot be written.
    """
    folder = name.startswith((FOLDER_PREFIX, MASKS_PREFIX, *BOXES_PREFIXES))
    if folder or (name not in list_datasets() and os.path.isdir(name)):
        raise DataError(f"dataset: {name} needs no preparation; name it in a configuration")
    start = time.perf_counter()
    tfds_name = _known_name(name, data_dir)
    done = find_prepared(tfds_name, data_dir) is not None
    if not done:
        refuse_unfinished(tfds_name, data_dir)
        if name in READERS and source is not None:
            _build_from_originals(name, Path(os.path.expanduser(source)), data_dir)
        elif name.partition("/")[0] not in EMBEDDED:
            _build_stock(tfds_name, source, data_dir)
    described = dataset(name, data_dir)
    sizes, mean, std, pixels_of = _read_back(described, data_dir)
    folder = find_prepared(tfds_name, data_dir)
    assert folder is not None  # it was just read
    seconds = None if done else time.perf_counter() - start
    return Prepared(folder, sizes, mean, std, pixels_of, seconds)


def _known_name(name: str, data_dir: str | None) -> str:
    """Returns the TFDS name of a set that may not be prepared yet."""
    try:
        return dataset(name, data_dir).tfds_name
    except DataError:
        import tensorflow_datasets as tfds

        if name.partition("/")[0] in tfds.list_builders(with_community_datasets=False):
            return name
        raise


def _build_from_originals(name: str, source: Path, data_dir: str | None) -> None:
    splits = read_original(name, source)
    # Imported after the files were checked, since it imports TFDS, which takes seconds.
    from cnnjax.data.prepare.builders import BUILDERS

    folder = data_folder(data_dir)
    with preparing(folder, name), quiet_tfds():
        # Another process may have prepared it during the wait.
        if find_prepared(name, data_dir) is None:
            BUILDERS[name](splits, str(folder)).download_and_prepare()


def _build_stock(tfds_name: str, source: str | None, data_dir: str | None) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        if tfds_name in READERS:
            files = _original_files(tfds_name)
            remedy = f"give --source=FOLDER with its original files ({files}), "
        else:
            remedy = ""
        raise DataError(
            f"dataset: TFDS's builder of {tfds_name} needs TensorFlow to prepare the set, not to "
            f"train: {remedy}{'or ' if remedy else ''}pip install cnnjax[tf]"
        )
    folder = data_folder(data_dir)
    with preparing(folder, tfds_name):
        if find_prepared(tfds_name, data_dir) is None:
            _download(tfds_name, source, folder)


def _download(tfds_name: str, source: str | None, folder: Path) -> None:
    import tensorflow_datasets as tfds

    builder: Any = tfds.builder(tfds_name, data_dir=str(folder), file_format="array_record")
    options = tfds.download.DownloadConfig(manual_dir=source)
    # A download folder for each set: in a common one, files of equal names would be confused.
    downloads = folder / "downloads" / tfds_name.replace("/", "_")
    try:
        builder.download_and_prepare(download_dir=str(downloads), download_config=options)
    # TFDS raises AssertionError for a manual download that is missing.
    except (OSError, AssertionError, tfds.download.DownloadError) as error:
        if isinstance(error, OSError) and is_unwritable(error):
            raise
        hint = "\n(manual_dir is the folder of --source)" if "manual_dir" in str(error) else ""
        raise DataError(f"dataset: {tfds_name} could not be prepared: {error}{hint}") from error


def _original_files(name: str) -> str:
    if name == "cifar10":
        return "cifar-10-python.tar.gz, or what is in it, also as .xz"
    return ", ".join(file for files in IDX_FILES.values() for file in files)


def _read_back(
    described: Dataset, data_dir: str | None
) -> tuple[dict[str, int], tuple[float, ...], tuple[float, ...], int]:
    """Counts the examples and computes the mean and deviation of the training pixels."""
    sizes: dict[str, int] = {}
    if described.image_shape is not None:
        images = np.empty(0)
        for split in described.split_sizes:
            arrays = load_arrays(described, split, data_dir)
            sizes[split] = len(arrays)
            images = arrays.arrays["image"] if split == "train" else images
        mean, std = _moments(images.reshape(-1, images.shape[-1]))
        if described.name in list_datasets():
            _check_moments(described, mean, std)
        return sizes, mean, std, len(images)
    pixels = []
    for split in described.split_sizes:
        source = open_source(described, split, data_dir)
        sizes[split] = len(source)
        if split == "train":
            # Evenly spread over the split, which may be sorted by class.
            chosen = np.unique(np.linspace(0, len(source) - 1, _SAMPLE).astype(int))
            remedy = prepare_again(described.tfds_name, data_dir)
            pixels = [_pixels(source, int(position), remedy) for position in chosen]
    mean, std = _moments(np.concatenate(pixels))
    return sizes, mean, std, len(pixels)


def _pixels(source: Source, position: int, remedy: str) -> np.ndarray:
    """Returns the pixels of a photograph, [pixels, 3]."""
    try:
        return decode_image(source[position].content).reshape(-1, 3)
    except (DamagedImage, OSError) as error:
        raise DataError(f"{source.name(position)} cannot be read: {error}; {remedy}") from error


def _check_moments(described: Dataset, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    stated = (*described.mean, *described.std)
    if not np.allclose((*mean, *std), stated, rtol=0, atol=MEAN_TOLERANCE):
        raise DataError(
            f"{described.name}: the training pixels that were read back have mean {mean} and "
            f"deviation {std}, expected {described.mean} and {described.std}: these are other "
            "images; delete the prepared folder and prepare the set again"
        )


def _moments(pixels: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns the mean and deviation per channel on the scale 0 to 1, from exact integer counts."""
    counts = np.stack([np.bincount(channel, minlength=256) for channel in pixels.T])
    values = np.arange(256) / 255
    mean = counts @ values / len(pixels)
    # One pass suffices: the counts are exact, and float64 rounds little.
    variance = counts @ values**2 / len(pixels) - mean**2
    return tuple(map(float, mean)), tuple(map(float, np.sqrt(variance)))
