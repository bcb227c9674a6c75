"""Small image sets as whole arrays: decoded once from the TFDS files, then kept as .npy files."""

import numpy as np

from cnnjax.data.array_examples import ArrayExamples
from cnnjax.data.dataset import Dataset
from cnnjax.data.errors import DataError
from cnnjax.data.kept_arrays import kept_arrays
from cnnjax.data.kinds import Kind
from cnnjax.data.read.decode import DamagedImage, decode_image
from cnnjax.data.read.sources import open_source
from cnnjax.data.read.tfds_store import prepare_again, require_prepared


def load_arrays(dataset: Dataset, split: str, data_dir: str | None = None) -> ArrayExamples:
    """Reads a whole split; `digits` is prepared first where it is missing.

    The decoded arrays are kept beside the prepared set, so that only the first call decodes. Their
    digests are kept too, and compared once in a process; damaged arrays are decoded again.

    Args:
        dataset: the set, from `catalogue.dataset`; its images must have one size.
        split: "train" or "test".
        data_dir: TFDS data folder; None means TFDS's default (`TFDS_DATA_DIR`, or
            `~/tensorflow_datasets`).

    Returns:
        Examples with the parts `image`, uint8 [examples, height, width, channels], and `label`,
        int32 [examples].

    Raises:
        DataError: the split is unknown, the set is not prepared or damaged, its images have many
            sizes, or the arrays do not have the sizes in the catalogue.
        DataFolderError: arrays are to be kept, and the data folder cannot be written.
    """
    if split not in dataset.split_sizes:
        raise DataError(
            f"split: {split!r} is unknown for {dataset.name}; it has {sorted(dataset.split_sizes)}"
        )
    if dataset.image_shape is None:
        raise DataError(f"dataset: the images of {dataset.name} have many sizes, and fit no array")
    folder = require_prepared(dataset, data_dir)
    stored = dataset.stored_split(split)
    shape = dataset.image_shape
    images, labels = kept_arrays(
        [folder / f"{stored}-{part}.npy" for part in ("images", "labels")],
        f"{dataset.name}/{split}",
        # Without decoding, neither TFDS, whose import takes seconds, nor OpenCV is needed.
        lambda: _decode(dataset, shape, split, data_dir),
    )
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
        try:
            example = source[position]
            image = decode_image(example.content, shape[2])
            if image.shape != shape:
                raise DamagedImage(f"it is {image.shape}, expected {shape}")
        except (DamagedImage, OSError) as error:
            raise DataError(
                f"{source.name(position)} cannot be read: {error}; "
                f"{prepare_again(dataset.tfds_name, data_dir)}"
            ) from error
        images[position] = image
        labels[position] = example.label
    return images, labels
