"""Images with boxes as COCO stores them.

A JSON file has `images` (`id`, `file_name`, `width`, `height`), `categories` (`id`, `name`) and
`annotations` (`image_id`, `category_id`, `bbox`: left, top, width and height in pixels, where the
image's corner is 0). See https://cocodataset.org/#format-data.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnjax.data.annotations.annotated import (
    AnnotatedImage,
    AnnotatedObject,
    check_size,
    checked_object,
    within,
)
from cnnjax.data.errors import DataError
from cnnjax.data.user_files import read_regular
from cnnjax.writing import printable


def read_coco(
    file: str | os.PathLike[str], images: str | os.PathLike[str]
) -> tuple[list[AnnotatedImage], tuple[str, ...]]:
    """Reads a file of annotations, and checks each image's against its file.

    Regions of crowds (`iscrowd`) are no single objects, and are left out. Images without objects
    stay.

    Args:
        file: the JSON file.
        images: the folder that `file_name`s are in.

    Returns:
        The images in the order of the file, and the names of the categories in the order of their
        ids.

    Raises:
        DataError: a file does not exist, JSON is malformed or lacks an entry, an id is unknown or
            given twice, an image has another size than stated, or a box is not within the image or
            has no area; the message names the file and how to fix it.
    """
    source, folder = Path(os.path.expanduser(file)), Path(os.path.expanduser(images))
    content = _load(source)
    categories = _by_id(content, "categories", source)
    names = {id: _entry(row, "name", str, "category", source) for id, row in categories.items()}
    rows = _by_id(content, "images", source)
    stated = {id: _image(row, folder, source) for id, row in rows.items()}
    for path, size in stated.values():
        check_size(size, path, source)
    objects: dict[Any, list[AnnotatedObject]] = {id: [] for id in rows}
    for number, row in enumerate(_rows(content, "annotations", source), 1):
        where = f"{printable(source)}, annotation {row.get('id', number)}"
        image, category = row.get("image_id"), row.get("category_id")
        for name, id, known in (("image_id", image, rows), ("category_id", category, names)):
            if not isinstance(id, int | str) or id not in known:
                raise DataError(
                    f"{where}: {name} {id!r} is the id of no entry; correct it, or remove the "
                    "annotation"
                )
        if row.get("iscrowd"):
            continue
        left, top, width, height = _bounds(row, where)
        box = (top, left, top + height, left + width)
        objects[image].append(checked_object(where, names[category], box, stated[image][1]))
    found = [
        AnnotatedImage(path, source, size, tuple(objects[id]))
        for id, (path, size) in stated.items()
    ]
    return found, tuple(names[id] for id in sorted(names, key=str if _texts(names) else None))


def _texts(ids: Mapping[Any, Any]) -> bool:
    return any(isinstance(id, str) for id in ids)


def _load(source: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(read_regular(source))
    except FileNotFoundError:
        raise DataError(
            f"{printable(source)} does not exist; give a file of COCO annotations"
        ) from None
    except OSError as error:
        raise DataError(f"{printable(source)} cannot be read: {error}; restore it") from None
    # Wrong bytes, wrong JSON, and brackets nested deeper than Python can follow.
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{printable(source)}: malformed JSON ({error}); correct or restore the file"
        ) from None
    if not isinstance(content, dict):
        raise DataError(
            f"{printable(source)}: expected an object with images, annotations and categories; "
            "give a file of COCO's form"
        )
    return content


def _rows(content: Mapping[str, Any], name: str, source: Path) -> list[Mapping[str, Any]]:
    rows = content.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(
            f"{printable(source)}: {name} is no list of entries; give a file of COCO's form"
        )
    return rows


def _by_id(content: Mapping[str, Any], name: str, source: Path) -> dict[Any, Mapping[str, Any]]:
    found: dict[Any, Mapping[str, Any]] = {}
    for number, row in enumerate(_rows(content, name, source), 1):
        id = row.get("id")
        if not isinstance(id, int | str):
            raise DataError(
                f"{printable(source)}: entry {number} of {name} has no id; give it a number"
            )
        if id in found:
            raise DataError(
                f"{printable(source)}: the id {id!r} is given twice in {name}; renumber one"
            )
        found[id] = row
    if not found:
        raise DataError(f"{printable(source)}: {name} is empty; there is nothing to read")
    return found


def _entry(row: Mapping[str, Any], name: str, kind: type, what: str, source: Path) -> Any:
    value = row.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(
            f"{printable(source)}, {what} {row['id']}: {name} is {value!r}, expected "
            f"{'a text' if kind is str else 'a whole number'}; correct it"
        )
    return value


def _image(row: Mapping[str, Any], folder: Path, source: Path) -> tuple[Path, tuple[int, int]]:
    """Returns the path of an image, and its stated height and width."""
    path = within(folder, _entry(row, "file_name", str, "image", source), source)
    height, width = (_entry(row, side, int, "image", source) for side in ("height", "width"))
    return path, (height, width)


def _bounds(row: Mapping[str, Any], where: str) -> list[float]:
    bounds: Any = row.get("bbox")
    numbers = isinstance(bounds, list) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in bounds
    )
    if not numbers or len(bounds) != 4:
        raise DataError(
            f"{where}: bbox is {bounds!r}, expected four numbers (left, top, width, height); "
            "correct it"
        )
    return bounds
