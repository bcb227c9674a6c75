"""Folders of images by class: `train/CLASS/IMAGE` and `test/CLASS/IMAGE`, or `CLASS/IMAGE`."""

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from cnnjax.data.dataset import Dataset
from cnnjax.data.errors import DataError
from cnnjax.pixel_statistics import IMAGENET_MEAN, IMAGENET_STD

FOLDER_PREFIX = "folder:"

TEST_NAMES = ("test", "val", "validation")
"""Names of the folder of test images; the first one that exists is used."""

TEST_SHARE = 0.2
"""Share of the images that a hash of their paths puts into the test split."""

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
"""Endings of the names of image files, in lower case."""


class Listing(NamedTuple):
    """The images of one split, in an order that depends on their names alone."""

    paths: list[Path]
    labels: list[int]


def folder_dataset(name: str) -> Dataset:
    """Describes a folder of images by class.

    Classes are the subfolders of `train`, in alphabetical order; images are regular files that end
    in .bmp, .jpeg, .jpg, .png or .webp. Without `train`, the subfolders themselves are the classes,
    and a hash of each image's path within the folder puts about a fifth of the images into the test
    split. An image stays in its split when others are added. Each class keeps at least one image to
    train on; only that one may move to the test split, once the class has others.

    Args:
        name: the path, with or without `folder:` before it.

    Raises:
        DataError: the folder does not exist or has test images but no `train`, there are no
            classes, a class has no images, or a class has test images but no training images.
    """
    path = name.removeprefix(FOLDER_PREFIX)
    folder = Path(path).expanduser()
    parts = [split for split in TEST_NAMES if (folder / split).is_dir()]
    whole = (folder / "train").is_dir()
    if not folder.is_dir() or (parts and not whole):
        missing = folder / "train" if folder.is_dir() else folder
        raise DataError(
            f"dataset: {name}: there is no folder {missing}; "
            "give a folder that holds train/CLASS/IMAGE and test/CLASS/IMAGE, or CLASS/IMAGE"
        )
    classes_in = folder / "train" if whole else folder
    dataset = Dataset(
        name=FOLDER_PREFIX + path,
        image_shape=None,
        class_names=tuple(_subfolders(classes_in)),
        split_sizes={},
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        source=str(folder.absolute()),
        test_split=parts[0] if parts else "test",
        folder=folder.absolute(),
        split_by_hash=not whole,
    )
    names = hashlib.sha256()
    for split in ("train", "test") if parts or not whole else ("train",):
        paths = list_split(dataset, split).paths
        if paths:
            dataset.split_sizes[split] = len(paths)
        for path in paths:
            # A zero byte ends each name, since no path contains one.
            names.update(os.fsencode(path.relative_to(dataset.source)) + b"\0")
    return dataclasses.replace(dataset, version=names.hexdigest()[:12])


def list_split(dataset: Dataset, split: str) -> Listing:
    """Lists the images of a split of a folder, class by class, each in alphabetical order.

    Args:
        dataset: the set, from `folder_dataset`.
        split: "train" or "test".

    Raises:
        DataError: the folder vanished, a class has no images or is unknown, or there is no class.
    """
    assert dataset.folder is not None  # as in all sets of `folder_dataset`
    folder = dataset.folder
    if not dataset.split_by_hash:
        folder = folder / dataset.stored_split(split)
    if not folder.is_dir():
        raise DataError(f"dataset: {dataset.name}: there is no folder {folder} (any more)")
    found = _subfolders(folder)
    unknown = sorted(set(found) - set(dataset.class_names))
    if unknown:
        raise DataError(
            f"dataset: {dataset.name}: {folder} has classes that train has not: "
            f"{', '.join(unknown)}; remove them, or add images of them to train"
        )
    if not found:
        raise DataError(
            f"dataset: {dataset.name}: {folder} holds no class folders; "
            "put each class's images into a folder of its own"
        )
    listing = Listing([], [])
    for class_name in found:
        images = _images(folder / class_name)
        if not images:
            raise DataError(
                f"dataset: {dataset.name}: the class folder {folder / class_name} holds no image "
                f"({', '.join(sorted(IMAGE_SUFFIXES))}); add some or remove it"
            )
        if dataset.split_by_hash:
            images = _split_by_hash(images, folder)[split]
        listing.paths.extend(images)
        listing.labels.extend([dataset.class_names.index(class_name)] * len(images))
    return listing


def _split_by_hash(images: list[Path], folder: Path) -> dict[str, list[Path]]:
    """Splits the images of a class by the numbers from 0 to 1 that their paths hash to."""
    numbers = [_hash_number(image, folder) for image in images]
    # The image with the largest number is always trained on, so that no class is left without one.
    bound = min(TEST_SHARE, max(numbers))
    paired = list(zip(images, numbers, strict=True))
    return {
        "train": [image for image, number in paired if number >= bound],
        "test": [image for image, number in paired if number < bound],
    }


def _hash_number(image: Path, folder: Path) -> float:
    # Unlike Python's own hash, SHA-256 is the same in every process.
    digest = hashlib.sha256(os.fsencode(image.relative_to(folder).as_posix())).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _images(folder: Path) -> list[Path]:
    """Lists the image files of a class, without pipes, sockets and broken links."""
    with os.scandir(folder) as entries:
        # Hidden files are left out: macOS puts `._` files with the same endings beside images.
        names = [
            entry.name
            for entry in entries
            if os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES
            and not entry.name.startswith(".")
            and entry.is_file()
        ]
    return [folder / name for name in sorted(names)]


def _subfolders(folder: Path) -> list[str]:
    return sorted(
        path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
