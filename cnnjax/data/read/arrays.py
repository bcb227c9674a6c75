"""Small image sets as whole arrays: decoded once from the TFDS files, then kept as .npy files."""

from collections.abc import Mapping

import numpy as np

from cnnjax.data.array_examples import ArrayExamples
from cnnjax.data.dataset import Dataset
from cnnjax.data.errors import DataError
from cnnjax.data.kept_arrays import kept_arrays
from cnnjax.data.kinds import Kind
from cnnjax.data.prepare.embedded import require_prepared
from cnnjax.data.read.decode import DamagedImage
from cnnjax.data.read.sources import open_source
from cnnjax.data.read.stored_parts import PartDecoder
from cnnjax.data.read.tfds_store import prepare_again

_FILE_NAMES = {"image": "images", "label": "labels"}


def load_arrays(dataset: Dataset, split: str, data_dir: str | None = None) -> ArrayExamples:
    """Reads a whole split; a set that needs no network is prepared first where it is missing.

    The decoded arrays are kept beside the prepared set, so that only the first call decodes. Their
    digests are kept too, and compared once in a process; damaged arrays are decoded again.

    Args:
        dataset: the set, from `catalogue.dataset`; its images must have one size.
        split: "train" or "test".
        data_dir: TFDS data folder; None means TFDS's default (`TFDS_DATA_DIR`, or
            `~/tensorflow_datasets`).

    Returns:
        Examples with `image`, uint8 [examples, height, width, channels], and the set's other parts,
        such as `label`, int32 [examples].

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
    spec = dataset.spec(shape)
    # Under the names `train-images.npy` and `train-labels.npy` older versions kept them.
    files = [f"{stored}-{_FILE_NAMES.get(part, part)}.npy" for part in spec]
    arrays = kept_arrays(
        [folder / file for file in files],
        f"{dataset.name}/{split}",
        # Without decoding, neither TFDS, whose import takes seconds, nor OpenCV is needed.
        lambda: _decode(dataset, shape, split, data_dir),
    )
    size = dataset.split_sizes[split]
    expected = {part: (size, *form.shape) for part, form in spec.items()}
    found = {part: array.shape for part, array in zip(spec, arrays, strict=True)}
    if found != expected:
        raise DataError(
            f"{dataset.name}/{split} in {folder}: {_listed(found)}, expected {_listed(expected)}; "
            "delete that folder to build it again"
        )
    kinds: dict[str, Kind] = {part: form.kind for part, form in spec.items()}
    parts = dict(zip(spec, arrays, strict=True))
    return ArrayExamples(parts, kinds, dataset.describe(split))


def _decode(
    dataset: Dataset, shape: tuple[int, int, int], split: str, data_dir: str | None
) -> list[np.ndarray]:
    source = open_source(dataset, split, data_dir)
    decode = PartDecoder.of(dataset, shape)
    # Allocated at once: stacking a list of images would need twice the memory.
    arrays = {
        part: np.empty((len(source), *form.shape), form.dtype) for part, form in decode.spec.items()
    }
    for position in range(len(source)):
        try:
            example = decode(source[position], source.name(position))
        except (DamagedImage, OSError) as error:
            raise DataError(
                f"{source.name(position)} cannot be read: {error}; "
                f"{prepare_again(dataset.tfds_name, data_dir)}"
            ) from error
        for part, array in arrays.items():
            array[position] = example[part]
    return list(arrays.values())


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return " and ".join(f"{_FILE_NAMES.get(part, part)} {shape}" for part, shape in shapes.items())
