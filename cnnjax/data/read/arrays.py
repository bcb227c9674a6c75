"""Small image sets as whole arrays: decoded once from the TFDS files, then kept as .npy files."""

import numpy as np

from cnnjax.data.array_examples import ArrayExamples
from cnnjax.data.dataset import Dataset
from cnnjax.data.errors import DataError
from cnnjax.data.kinds import Kind
from cnnjax.data.read.decode import decode_image
from cnnjax.data.read.sources import open_source
from cnnjax.data.read.tfds_store import require_prepared
from cnnjax.writing import write_array


def load_arrays(dataset: Dataset, split: str, data_dir: str | None = None) -> ArrayExamples:
    """Reads a whole split; `digits` is prepared first where it is missing.

    The decoded arrays are kept beside the prepared set, so that only the first call decodes.

    Args:
        dataset: the set, from `catalogue.dataset`; its images must have one size.
        split: "train" or "test".
        data_dir: TFDS data folder; None means TFDS's default (`TFDS_DATA_DIR`, or
            `~/tensorflow_datasets`).

    Returns:
        Examples with the parts `image`, uint8 [examples, height, width, channels], and `label`,
        int32 [examples].

    Raises:
        DataError: the split is unknown, the set is not prepared, its images have many sizes, or
            the arrays do not have the sizes in the catalogue.
        OSError: the data folder cannot be written.
    """
    if split not in dataset.split_sizes:
        raise DataError(
            f"split: {split!r} is unknown for {dataset.name}; it has {sorted(dataset.split_sizes)}"
        )
    if dataset.image_shape is None:
        raise DataError(f"dataset: the images of {dataset.name} have many sizes, and fit no array")
    folder = require_prepared(dataset, data_dir)
    stored = dataset.stored_split(split)
    images_file, labels_file = (folder / f"{stored}-{part}.npy" for part in ("images", "labels"))
    # Without decoding, neither TFDS, whose import takes seconds, nor OpenCV is needed.
    if not (images_file.exists() and labels_file.exists()):
        images, labels = _decode(dataset, dataset.image_shape, split, data_dir)
        write_array(images_file, images)
        write_array(labels_file, labels)
    images, labels = np.load(images_file), np.load(labels_file)
    expected = (dataset.split_sizes[split], *dataset.image_shape)
    if images.shape != expected or labels.shape != expected[:1]:
        raise DataError(
            f"{dataset.name}/{split} in {folder}: images {images.shape} and labels "
            f"{labels.shape}, expected images {expected}; delete that folder to build it again"
        )
    kinds: dict[str, Kind] = {"image": "image", "label": "label"}
    return ArrayExamples({"image": images, "label": labels}, kinds, dataset.describe(split))


def _decode(
    dataset: Dataset, shape: tuple[int, int, int], split: str, data_dir: str | None
) -> tuple[np.ndarray, np.ndarray]:
    source = open_source(dataset, split, data_dir)
    # Allocated at once: stacking a list of images would need twice the memory.
    images = np.empty((len(source), *shape), np.uint8)
    labels = np.empty(len(source), np.int32)
    for position in range(len(source)):
        example = source[position]
        images[position] = decode_image(example.content, shape[2])
        labels[position] = example.label
    return images, labels
