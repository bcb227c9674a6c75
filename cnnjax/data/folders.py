"""Folders of images by class: `train/CLASS/IMAGE`, `test/CLASS/IMAGE`."""

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from cnnjax.data.dataset import IMAGENET_MEAN, IMAGENET_STD, Dataset
from cnnjax.data.errors import DataError

FOLDER_PREFIX = "folder:"

TEST_NAMES = ("test", "val", "validation")
"""Names of the folder of test images; the first one that is there counts."""

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
"""What the names of image files end in, in lower case."""


class Listing(NamedTuple):
    """The images of one split, in an order that depends on their names alone."""

    paths: list[Path]
    labels: list[int]


def folder_dataset(name: str) -> Dataset:
    """Describes a folder of images by class.

    Classes are the subfolders of `train`, in alphabetical order; images are files that end in
    .bmp, .jpeg, .jpg, .png or .webp.

    Args:
        name: `folder:` and the path.

    Raises:
        DataError: the folder or its `train` does not exist, there are no classes, a class has no
            images, or one is tested that is not trained.
    """
    folder = Path(name.removeprefix(FOLDER_PREFIX)).expanduser()
    if not (folder / "train").is_dir():
        missing = folder / "train" if folder.is_dir() else folder
        raise DataError(
            f"dataset: {name}: there is no folder {missing}; "
            "give a folder that holds train/CLASS/IMAGE and test/CLASS/IMAGE"
        )
    class_names = tuple(_subfolders(folder / "train"))
    test_split = next((split for split in TEST_NAMES if (folder / split).is_dir()), None)
    dataset = Dataset(
        name=name,
        image_shape=None,
        class_names=class_names,
        split_sizes={},
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        source=str(folder.absolute()),
        test_split=test_split or "test",
        folder=folder.absolute(),
    )
    names = hashlib.sha256()
    for split in ("train", "test") if test_split else ("train",):
        paths = list_split(dataset, split).paths
        dataset.split_sizes[split] = len(paths)
        for path in paths:
            names.update(os.fsencode(path.relative_to(dataset.source)) + b"\0")
    return dataclasses.replace(dataset, version=names.hexdigest()[:12])


def list_split(dataset: Dataset, split: str) -> Listing:
    """Lists the images of a split of a folder, class by class, each in alphabetical order.

    Raises:
        DataError: the folder vanished, a class has no images or is unknown, or there is no class.
    """
    assert dataset.folder is not None  # the caller chose by it
    folder = dataset.folder / dataset.stored_split(split)
    if not folder.is_dir():
        raise DataError(f"dataset: {dataset.name}: there is no folder {folder} (any more)")
    found = _subfolders(folder)
    unknown = sorted(set(found) - set(dataset.class_names))
    if unknown:
        raise DataError(
            f"dataset: {dataset.name}: {folder} has classes that train has not: "
            f"{', '.join(unknown)}; remove them, or add images of them to train"
        )
    listing = Listing([], [])
    for class_name in found:
        images = sorted(
            path
            for path in (folder / class_name).iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
        )
        if not images:
            raise DataError(
                f"dataset: {dataset.name}: the class folder {folder / class_name} holds no image "
                f"({', '.join(sorted(IMAGE_SUFFIXES))}); add some or remove it"
            )
        listing.paths.extend(images)
        listing.labels.extend([dataset.class_names.index(class_name)] * len(images))
    if not listing.paths:
        raise DataError(
            f"dataset: {dataset.name}: {folder} holds no class folders; "
            "put each class's images into a folder of its own"
        )
    return listing


def _subfolders(folder: Path) -> list[str]:
    return sorted(
        path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
