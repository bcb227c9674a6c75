"""Folders of images by class: `train/CLASS/IMAGE` and `test/CLASS/IMAGE`, or `CLASS/IMAGE`."""

import contextlib
import dataclasses
import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cnnjax.data.dataset import Dataset
from cnnjax.data.errors import DataError
from cnnjax.data.user_files import irregular_kind
from cnnjax.pixel_statistics import IMAGENET_MEAN, IMAGENET_STD
from cnnjax.writing import printable

_logger = logging.getLogger(__name__)

FOLDER_PREFIX = "folder:"

BOXES_PREFIXES = ("voc:", "coco:")

MASKS_PREFIX = "masks:"
"""How the names of folders with boxes start; see `annotations.splits`."""

TEST_NAMES = ("test", "val", "validation")
"""Names of the folder of test images; the first one that exists is used."""

TEST_SHARE = 0.2
"""Share of the images that a hash of their paths puts into the test split."""

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
"""Endings of the names of image files, in lower case."""


class Listing(NamedTuple):
    """The images of one split, in an order that depends on their names alone.

    Attributes:
        paths: regular files.
        labels: the label of each.
        left_out: pipes, sockets, devices, folders and broken links that end as images do.
    """

    paths: list[Path]
    labels: list[int]
    left_out: list[Path]


def folder_dataset(name: str) -> Dataset:
    """Describes a folder of images by class.

    Classes are the subfolders of `train`, in alphabetical order; images are regular files that end
    in .bmp, .jpeg, .jpg, .png or .webp. Pipes, sockets, devices, folders and broken links with such
    names are left out with a warning. Names of classes are `printable`. Without `train`, the
    subfolders themselves are the classes, and a hash of each image's path within the folder puts
    about a fifth of the images into the test split. An image stays in its split when others are
    added. Each class keeps at least one image to train on; only that one may move to the test
    split, once the class has others.

    Args:
        name: the path, with or without `folder:` before it.

    Raises:
        DataError: the folder does not exist or has test images but no `train`, there are no
            classes, a class has no images, a class has test images but no training images, or a
            folder cannot be listed.
    """
    path = name.removeprefix(FOLDER_PREFIX)
    # Unlike pathlib's functions, those of os.path return False for names that no file can have.
    folder = Path(os.path.expanduser(path))
    parts = [split for split in TEST_NAMES if os.path.isdir(folder / split)]
    whole = os.path.isdir(folder / "train")
    if not os.path.isdir(folder) or (parts and not whole):
        missing = folder / "train" if os.path.isdir(folder) else folder
        raise DataError(
            f"dataset: {printable(name)}: there is no folder {printable(missing)}; "
            "give a folder that holds train/CLASS/IMAGE and test/CLASS/IMAGE, or CLASS/IMAGE"
        )
    dataset = Dataset(
        name=FOLDER_PREFIX + printable(path),
        image_shape=None,
        class_names=tuple(_classes(folder / "train" if whole else folder)),
        split_sizes={},
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        source=printable(folder.absolute()),
        test_split=parts[0] if parts else "test",
        folder=folder.absolute(),
        split_by_hash=not whole,
    )
    names = hashlib.sha256()
    for split in ("train", "test") if parts or not whole else ("train",):
        listing = list_split(dataset, split)
        if listing.paths:
            dataset.split_sizes[split] = len(listing.paths)
        for image in listing.paths:
            # A zero byte ends each name, since no path contains one.
            names.update(os.fsencode(image.relative_to(folder.absolute())) + b"\0")
        # Without `train` and `test`, both splits are from the same folders.
        if split == "train" or whole:
            warn_of(listing.left_out)
    return dataclasses.replace(dataset, version=names.hexdigest()[:12])


def list_split(dataset: Dataset, split: str) -> Listing:
    """Lists the images of a split of a folder, class by class, each in alphabetical order.

    Args:
        dataset: the set, from `folder_dataset`.
        split: "train" or "test".

    Raises:
        DataError: the folder vanished or cannot be listed, a class has no images or is unknown, or
            there is no class.
    """
    assert dataset.folder is not None  # as in all sets of `folder_dataset`
    folder = dataset.folder
    if not dataset.split_by_hash:
        folder = folder / dataset.stored_split(split)
    if not os.path.isdir(folder):
        raise DataError(
            f"dataset: {dataset.name}: there is no folder {printable(folder)} (any more)"
        )
    found = _classes(folder)
    unknown = sorted(set(found) - set(dataset.class_names))
    if unknown:
        raise DataError(
            f"dataset: {dataset.name}: {printable(folder)} has classes that train has not: "
            f"{', '.join(unknown)}; remove them, or add images of them to train"
        )
    if not found:
        raise DataError(
            f"dataset: {dataset.name}: {printable(folder)} holds no class folders; "
            "put each class's images into a folder of its own"
        )
    listing = Listing([], [], [])
    for class_name, class_folder in found.items():
        images, left_out = list_images(class_folder)
        if not images:
            raise DataError(
                f"dataset: {dataset.name}: the class folder {printable(class_folder)} holds no "
                f"image ({', '.join(sorted(IMAGE_SUFFIXES))}); add some or remove it"
            )
        if dataset.split_by_hash:
            images = split_by_hash(images, folder)[split]
        listing.paths.extend(images)
        listing.labels.extend([dataset.class_names.index(class_name)] * len(images))
        listing.left_out.extend(left_out)
    return listing


def split_by_hash(images: list[Path], folder: Path) -> dict[str, list[Path]]:
    """Splits the images of a class by the numbers from 0 to 1 that their paths hash to.

    Args:
        images: the images.
        folder: the folder from which their paths are counted.
    """
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


def warn_of(left_out: list[Path]) -> None:
    """Logs each path that is left out, with what it is.

    Args:
        left_out: the paths.
    """
    for path in left_out:
        kind = irregular_kind(path) or "no longer what it was"
        _logger.warning("%s is left out: it is %s", printable(path), kind)


def list_images(folder: Path) -> tuple[list[Path], list[Path]]:
    """Lists the image files of a folder, and what has the name of one but is no regular file.

    Args:
        folder: the folder; those beneath it are not looked into.

    Raises:
        DataError: it cannot be listed.
    """
    with listed(folder), os.scandir(folder) as entries:
        # Hidden files are left out: macOS puts `._` files with the same endings beside images.
        found = [
            (entry.name, entry.is_file())
            for entry in entries
            if os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES
            and not entry.name.startswith(".")
        ]
    images = [folder / name for name, regular in sorted(found) if regular]
    return images, [folder / name for name, regular in sorted(found) if not regular]


def _classes(folder: Path) -> dict[str, Path]:
    """Returns the class folders by their printable names, in the order of the names on disk."""
    with listed(folder), os.scandir(folder) as entries:
        names = sorted(
            entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()
        )
    found: dict[str, Path] = {}
    for name in names:
        other = found.setdefault(printable(name), folder / name)
        if other.name != name:
            raise DataError(
                f"dataset: two class folders in {printable(folder)} have the printed name "
                f"{printable(name)}: one of them has bytes that are not UTF-8; rename one"
            )
    return found


@contextlib.contextmanager
def listed(folder: Path) -> Iterator[None]:
    """Turns an operating system's error while a folder is listed into one that names it.

    Args:
        folder: the folder.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"dataset: {printable(folder)} cannot be listed: {error.strerror or error}"
        ) from error
