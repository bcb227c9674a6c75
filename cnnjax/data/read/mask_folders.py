"""Folders of images and masks: `images/NAME.jpg` and `masks/NAME.png`, read as they lie."""

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from cnnjax.data.dataset import MASK, Dataset
from cnnjax.data.errors import DataError
from cnnjax.data.folders import (
    MASKS_PREFIX,
    TEST_NAMES,
    list_images,
    listed,
    split_by_hash,
    warn_of,
)
from cnnjax.data.user_files import read_regular
from cnnjax.pixel_statistics import IMAGENET_MEAN, IMAGENET_STD
from cnnjax.writing import printable

NAMES_FILE = "classes.txt"
"""The file of a folder that names its labels, one in a line, from label 0 on."""

_LAYOUT = (
    "images/NAME.jpg and masks/NAME.png in the folder itself, or in its subfolders train and test"
)
_MOST_NAMES = 255


class Pair(NamedTuple):
    """An image and its mask."""

    image: Path
    mask: Path


def mask_folder_dataset(name: str) -> Dataset:
    """Describes a folder of images and masks.

    It holds `images` and `masks`, or `train` and `test` (or `val`, or `validation`) with these two.
    Each image has a mask of the same name that ends in .png, of its size: gray with 8 bits, or with
    a palette, whose pixels are labels; 255 is for pixels that do not count. `classes.txt` has a
    name for each label in a line. Without `train`, a hash of each image's path puts about a fifth
    of the images into the test split.

    Args:
        name: "masks:PATH".

    Raises:
        DataError: the folder does not have this layout, an image has no mask, or two have one name;
            the message names the file.
    """
    path = name.removeprefix(MASKS_PREFIX)
    folder = Path(os.path.expanduser(path))
    if not os.path.isdir(folder):
        raise DataError(
            f"dataset: {printable(name)}: there is no folder {printable(folder)}; give a folder "
            f"with {_LAYOUT}"
        )
    parts = [split for split in TEST_NAMES if os.path.isdir(folder / split)]
    whole = os.path.isdir(folder / "train")
    dataset = Dataset(
        name=MASKS_PREFIX + printable(path),
        image_shape=None,
        class_names=(),
        split_sizes={},
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        source=printable(folder.absolute()),
        test_split=parts[0] if parts and whole else "test",
        folder=folder.absolute(),
        split_by_hash=not whole,
        parts={"mask": MASK},
        mask_names=_mask_names(folder),
    )
    digest = hashlib.sha256()
    for split in ("train", "test") if parts or not whole else ("train",):
        pairs = list_pairs(dataset, split)
        if pairs:
            dataset.split_sizes[split] = len(pairs)
        for pair in pairs:
            # A zero byte ends each name, since no path contains one.
            digest.update(os.fsencode(pair.image.relative_to(folder.absolute())) + b"\0")
    # Other names are another set too.
    digest.update(repr(dataset.mask_names).encode())
    return dataclasses.replace(dataset, version=digest.hexdigest()[:12])


def list_pairs(dataset: Dataset, split: str) -> list[Pair]:
    """Lists the images and masks of a split, in alphabetical order.

    Args:
        dataset: the set, from `mask_folder_dataset`.
        split: "train" or "test".

    Raises:
        DataError: `images` or `masks` is missing or cannot be listed, there is no image, an image
            has no mask, or two images have one name.
    """
    assert dataset.folder is not None  # as in all sets of `mask_folder_dataset`
    folder = dataset.folder
    if not dataset.split_by_hash:
        folder = folder / dataset.stored_split(split)
    for part in ("images", "masks"):
        if not os.path.isdir(folder / part):
            raise DataError(
                f"dataset: {dataset.name}: there is no folder {printable(folder / part)}; it needs "
                f"{_LAYOUT}"
            )
    images, left_out = list_images(folder / "images")
    if split == "train" or not dataset.split_by_hash:
        warn_of(left_out)
    if not images:
        raise DataError(f"dataset: {printable(folder / 'images')} holds no image; add some")
    masks = _masks(folder / "masks")
    _check_pairs(images, masks, folder / "masks")
    if dataset.split_by_hash:
        images = split_by_hash(images, folder)[split]
    return [Pair(image, masks[image.stem]) for image in images]


def _masks(folder: Path) -> dict[str, Path]:
    with listed(folder), os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    return {Path(name).stem: folder / name for name in names if name.lower().endswith(".png")}


def _check_pairs(images: list[Path], masks: dict[str, Path], folder: Path) -> None:
    stems: dict[str, Path] = {}
    for image in images:
        other = stems.setdefault(image.stem, image)
        if other != image:
            raise DataError(
                f"dataset: {printable(other)} and {printable(image)} have one name, and so one "
                "mask; rename one of them"
            )
    missing = [image for image in images if image.stem not in masks]
    if missing:
        more = f" (and {len(missing) - 1} more images)" if len(missing) > 1 else ""
        raise DataError(
            f"dataset: {printable(missing[0])}{more} has no mask; add "
            f"{printable(folder / (missing[0].stem + '.png'))}, or remove the image"
        )


def _mask_names(folder: Path) -> tuple[str, ...]:
    path = folder / NAMES_FILE
    try:
        text = read_regular(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(
            f"dataset: {printable(path)} cannot be read ({reason or error}); write a name for each "
            "label of the masks into it, one in a line, from label 0 on"
        ) from None
    names = tuple(line.strip() for line in text.strip().splitlines())
    if not 2 <= len(names) <= _MOST_NAMES or not all(names) or len(set(names)) < len(names):
        raise DataError(
            f"dataset: {printable(path)} has {len(names)} lines; give 2 to {_MOST_NAMES} names, "
            "all different and none empty, one for each label from 0 on"
        )
    return names
