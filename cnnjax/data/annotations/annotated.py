"""One image with its objects, as an annotation file describes them, and what is refused of it."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnnjax.data.errors import DataError
from cnnjax.data.read.image_header import BrokenHeader, stored_size
from cnnjax.data.user_files import read_regular
from cnnjax.nearest import did_you_mean
from cnnjax.writing import printable

_ROUNDING = 0.05
"""Pixels by which a box may leave its image: files with decimals are rounded."""


@dataclass(frozen=True)
class AnnotatedObject:
    """An object of an image.

    Attributes:
        name: its class.
        box: top, left, bottom and right in pixels, where the first pixel goes from 0 to 1.
    """

    name: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class AnnotatedImage:
    """An image file with its objects.

    Attributes:
        path: the image file.
        source: the file of its annotations, for messages.
        size: height and width in pixels.
        objects: in the order of the file.
    """

    path: Path
    source: Path
    size: tuple[int, int]
    objects: tuple[AnnotatedObject, ...]


def checked_object(
    where: str, name: str, box: Sequence[float], size: tuple[int, int]
) -> AnnotatedObject:
    """Returns an object whose box has an area and lies within its image.

    Args:
        where: the file and the object's place in it, for messages.
        name: its class.
        box: top, left, bottom and right in pixels.
        size: height and width of the image.

    Raises:
        DataError: the box has no area, or is not within the image.
    """
    height, width = size
    top, left, bottom, right = box
    given = ", ".join(f"{value:g}" for value in (left, top, right, bottom))
    text = f"{where}: the box of {printable(name)} from (left, top, right, bottom) = ({given})"
    if not all(map(math.isfinite, box)):
        raise DataError(f"{text} has a side that is no number; correct or remove the object")
    if bottom <= top or right <= left:
        raise DataError(f"{text} has no area; correct or remove the object")
    if min(top, left) < -_ROUNDING or bottom > height + _ROUNDING or right > width + _ROUNDING:
        raise DataError(
            f"{text} is not within the image of {width}x{height} pixels (width x height); correct "
            "the box, or cut it to the image"
        )
    cut = (max(top, 0.0), max(left, 0.0), min(bottom, float(height)), min(right, float(width)))
    return AnnotatedObject(name, cut)


def image_size(path: Path, source: Path) -> tuple[int, int]:
    """Returns the height and width that an image file states.

    Args:
        path: the image file.
        source: the file that names it, for messages.

    Raises:
        DataError: there is no such file, or it is no image.
    """
    try:
        width, height = stored_size(read_regular(path))
    except FileNotFoundError:
        raise DataError(
            f"{printable(source)}: its image {printable(path)} does not exist; restore it, or "
            "remove the entry"
        ) from None
    except (OSError, BrokenHeader) as error:
        raise DataError(
            f"{printable(path)}, named in {printable(source)}, cannot be read: {error}; restore "
            "it, or remove the entry"
        ) from None
    return height, width


def check_size(stated: tuple[int, int], path: Path, source: Path) -> None:
    """Refuses annotations that state another size than their image has.

    Args:
        stated: height and width in the annotations.
        path: the image file.
        source: the file of the annotations, for messages.

    Raises:
        DataError: the image has another size, does not exist, or is no image.
    """
    found = image_size(path, source)
    if found != stated:
        raise DataError(
            f"{printable(source)}: it states {stated[1]}x{stated[0]} pixels (width x height), but "
            f"{printable(path)} has {found[1]}x{found[0]}; its boxes may be of another image: "
            "correct the size, or restore the image"
        )


def class_labels(images: Sequence[AnnotatedImage], class_names: Sequence[str]) -> list[list[int]]:
    """Returns the label of each object of each image.

    Args:
        images: the images.
        class_names: a name for each label.

    Raises:
        DataError: a class is not among the names; the message names the file.
    """
    labels = {name: label for label, name in enumerate(class_names)}
    for image in images:
        for each in image.objects:
            if each.name not in labels:
                raise DataError(
                    f"{printable(image.source)}: the class {printable(each.name)!r} is unknown; "
                    f"{did_you_mean(each.name, class_names)}known: "
                    f"{', '.join(map(printable, class_names))}; correct it, or name it too"
                )
    return [[labels[each.name] for each in image.objects] for image in images]


def within(folder: Path, name: str, source: Path) -> Path:
    """Returns the path of a file that annotations name, which is below a folder.

    Args:
        folder: the folder.
        name: the file's name, or its path below the folder.
        source: the file that names it, for messages.

    Raises:
        DataError: the name leads out of the folder.
    """
    if not name or os.path.isabs(name) or ".." in Path(name).parts or "\0" in name:
        raise DataError(
            f"{printable(source)}: the file name {printable(name)!r} leads out of "
            f"{printable(folder)}; give a name within it"
        )
    return folder / name
