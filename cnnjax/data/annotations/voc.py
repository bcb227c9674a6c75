"""Images with boxes as PASCAL VOC stores them.

A folder holds `ImageSets/Main/SPLIT.txt`, whose lines are names, `Annotations/NAME.xml` and
`JPEGImages/NAME.jpg`. Boxes are `xmin`, `ymin`, `xmax` and `ymax`, the first and last pixels of the
object, where the first pixel of an image is 1 (Everingham et al. 2010; its development kit).
"""

import os
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from cnnjax.data.annotations.annotated import (
    AnnotatedImage,
    AnnotatedObject,
    check_size,
    checked_object,
    image_size,
    within,
)
from cnnjax.data.errors import DataError
from cnnjax.data.folders import IMAGE_SUFFIXES
from cnnjax.data.user_files import read_regular
from cnnjax.nearest import did_you_mean
from cnnjax.writing import printable

LISTS = Path("ImageSets") / "Main"
"""The folder of the lists of a split's images."""


def read_voc(folder: str | os.PathLike[str], split: str) -> list[AnnotatedImage]:
    """Reads the annotations of a split, and checks each against its image file.

    Objects that are marked as difficult are objects like others. Parts of objects, such as a
    person's head, are left out.

    Args:
        folder: the folder that holds Annotations, ImageSets and JPEGImages.
        split: the name of a list in ImageSets/Main, without its ending.

    Returns:
        The images in the order of the list.

    Raises:
        DataError: a list or a file does not exist, XML is malformed or has a document type, it
            states another size than its image has, a number is none, or a box is not within the
            image or has no area; the message names the file and how to fix it.
    """
    folder = Path(os.path.expanduser(folder))
    source = _list_file(folder, split)
    names = _names(source)
    # Listed once, since each name may have one of several endings.
    with_ending = _image_files(folder / "JPEGImages")
    return [_read_image(folder, name, source, with_ending) for name in names]


def voc_lists(folder: str | os.PathLike[str]) -> list[str]:
    """Returns the names of a folder's splits.

    Args:
        folder: the folder that holds ImageSets/Main.

    Raises:
        DataError: there are none.
    """
    lists = Path(os.path.expanduser(folder)) / LISTS
    found = sorted(path.stem for path in lists.glob("*.txt")) if lists.is_dir() else []
    if not found:
        raise DataError(
            f"dataset: there are no lists {printable(lists / 'SPLIT.txt')}; a VOC folder holds "
            "Annotations, ImageSets/Main and JPEGImages"
        )
    return found


def _list_file(folder: Path, split: str) -> Path:
    known = voc_lists(folder)
    if split not in known:
        raise DataError(
            f"dataset: {printable(folder / LISTS)} has no list {split!r}; "
            f"{did_you_mean(split, known)}known: {', '.join(map(printable, known))}"
        )
    return folder / LISTS / f"{split}.txt"


def _names(source: Path) -> list[str]:
    try:
        lines = read_regular(source).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{printable(source)} cannot be read: {error}; restore it") from None
    # Lists of one class have a second column, 1 or -1, which is of no use here.
    names = [line.split()[0] for line in lines if line.strip()]
    if not names:
        raise DataError(f"{printable(source)}: the list is empty; name one image a line")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(
                f"{printable(source)}: {printable(name)} is listed twice; remove one of the lines"
            )
        seen.add(name)
    return names


def _image_files(folder: Path) -> dict[str, Path]:
    """Returns the image files of a folder by their names without endings."""
    if not folder.is_dir():
        raise DataError(
            f"dataset: there is no folder {printable(folder)}; a VOC folder holds Annotations, "
            "ImageSets/Main and JPEGImages"
        )
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    return {path.stem: path for path in found}


def _read_image(
    folder: Path, name: str, listed_in: Path, with_ending: dict[str, Path]
) -> AnnotatedImage:
    source = within(folder / "Annotations", f"{name}.xml", listed_in)
    try:
        content = read_regular(source)
    except FileNotFoundError:
        raise DataError(
            f"{printable(source)} does not exist, and {printable(listed_in)} lists it; restore it, "
            "or remove the line"
        ) from None
    except OSError as error:
        raise DataError(f"{printable(source)} cannot be read: {error}; restore it") from None
    root = _parse(content, source)
    image = with_ending.get(name)
    if image is None:
        missing = folder / "JPEGImages" / f"{name}.jpg"
        raise DataError(
            f"{printable(source)}: its image {printable(missing)} does not exist; restore it, or "
            f"remove the line from {printable(listed_in)}"
        )
    size = _stated_size(root, source)
    if size is None:
        size = image_size(image, source)
    else:
        check_size(size, image, source)
    objects = [
        _object(element, f"{printable(source)}, object {number}", size)
        for number, element in enumerate(root.findall("object"), 1)
    ]
    return AnnotatedImage(image, source, size, tuple(objects))


def _parse(content: bytes, source: Path) -> ElementTree.Element:
    """Returns the root of an XML file without a document type, whose entities could grow."""

    def refuse(*_: object) -> None:
        raise DataError(
            f"{printable(source)}: it has a document type (<!DOCTYPE …>), whose entities could "
            "take any amount of memory; remove that line"
        )

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        # Before a tree is built, so that nothing is expanded.
        parser.Parse(content, True)
        root = ElementTree.fromstring(content)
    except (expat.ExpatError, ElementTree.ParseError) as error:
        raise DataError(
            f"{printable(source)}: malformed XML ({error}); correct or restore the file"
        ) from None
    if root.tag != "annotation":
        raise DataError(
            f"{printable(source)}: its root is <{printable(root.tag)}>, expected <annotation>; "
            "give files of VOC's form"
        )
    return root


def _stated_size(root: ElementTree.Element, source: Path) -> tuple[int, int] | None:
    """Returns height and width; None where the file states none."""
    size = root.find("size")
    if size is None:
        return None
    where = f"{printable(source)}, size"
    height, width = (_number(size, side, where) for side in ("height", "width"))
    return round(height), round(width)


def _object(element: ElementTree.Element, where: str, size: tuple[int, int]) -> AnnotatedObject:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise DataError(f"{where}: it has no <name>; name its class, or remove it")
    bounds = element.find("bndbox")
    if bounds is None:
        raise DataError(f"{where} ({printable(name)}): it has no <bndbox>; add it, or remove it")
    left, top, right, bottom = (
        _number(bounds, side, f"{where} ({printable(name)})")
        for side in ("xmin", "ymin", "xmax", "ymax")
    )
    # The first pixel is 1, and the last one is part of the box.
    return checked_object(where, name, (top - 1, left - 1, bottom, right), size)


def _number(element: ElementTree.Element, name: str, where: str) -> float:
    text = element.findtext(name)
    try:
        return float(text or "")
    except ValueError:
        given = "missing" if text is None else f"{printable(text)!r}"
        raise DataError(f"{where}: <{name}> is {given}, expected a number; correct it") from None
