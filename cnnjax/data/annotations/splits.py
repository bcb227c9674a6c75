"""Sets of images with boxes by the names of their folders, as configurations give them."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cnnjax.data.annotations.annotated import AnnotatedImage
from cnnjax.data.annotations.box_images import from_annotations
from cnnjax.data.annotations.coco import read_coco
from cnnjax.data.annotations.voc import read_voc, voc_lists
from cnnjax.data.errors import DataError
from cnnjax.data.folders import BOXES_PREFIXES
from cnnjax.data.own_datasets import Splits
from cnnjax.pixel_statistics import IMAGENET_MEAN, IMAGENET_STD
from cnnjax.writing import printable

_SIZE = re.compile(r"(\d+)x(\d+):(.*)", re.DOTALL)


def voc_splits(
    folder: str | os.PathLike[str],
    size: tuple[int, int] | None = None,
    *,
    train: str | None = None,
    test: str | None = None,
    class_names: Sequence[str] | None = None,
) -> Splits:
    """Returns the examples of a folder of PASCAL VOC's form.

    Args:
        folder: the folder that holds Annotations, ImageSets and JPEGImages.
        size: height and width that images are brought to; None for their own, if all are equal.
        train: name of the list of training images; None for `trainval`, or `train` where there is
            no test list.
        test: name of the list of test images; None for `test`, or `val` where there is none.
        class_names: a name for each label; None for those of the training images, in alphabetical
            order.

    Raises:
        DataError: see `read_voc`, and `from_annotations`.
    """
    known = voc_lists(folder)
    if test is None:
        test = next((name for name in ("test", "val") if name in known), None)
    if train is None:
        whole = "trainval" in known and test != "val"
        train = "trainval" if whole else "train"
    trained = read_voc(folder, train)
    tested = None if test is None else read_voc(folder, test)
    if class_names is None:
        class_names = sorted({each.name for image in trained for each in image.objects})
    return _splits(trained, tested, class_names, size, f"{printable(folder)} ({train}, {test})")


def coco_splits(
    folder: str | os.PathLike[str],
    size: tuple[int, int] | None = None,
    *,
    train: str | None = None,
    test: str | None = None,
) -> Splits:
    """Returns the examples of a folder of COCO's form.

    It holds `annotations/instances_SPLIT.json`, and the images of each split in a folder SPLIT.

    Args:
        folder: the folder.
        size: height and width that images are brought to; None for their own, if all are equal.
        train: name of the split of training images; None for the first that starts with "train".
        test: name of the split of test images; None for the first that starts with "test" or "val"
            and has annotations.

    Raises:
        DataError: see `read_coco`, and `from_annotations`; or the splits have other categories.
    """
    root = Path(os.path.expanduser(folder))
    files = sorted((root / "annotations").glob("instances_*.json"))
    known = {path.stem.removeprefix("instances_"): path for path in files}

    def named(given: str | None, *starts: str) -> str | None:
        if given is not None:
            return given
        found = (name for start in starts for name in known if name.startswith(start))
        return next(found, None)

    train, test = named(train, "train"), named(test, "test", "val")
    for split in (train, test):
        if (split is None and split is train) or (split is not None and split not in known):
            raise DataError(
                f"dataset: {printable(root / 'annotations')} has no instances_{split or 'train'}"
                f".json; it has {', '.join(map(printable, known)) or 'no splits'}: a COCO folder "
                "holds annotations/instances_SPLIT.json and SPLIT/IMAGE"
            )
    assert train is not None
    trained, names = read_coco(known[train], root / train)
    tested = None
    if test is not None:
        tested, other = read_coco(known[test], root / test)
        if other != names:
            raise DataError(
                f"{printable(known[test])}: its categories {other} are not those of "
                f"{printable(known[train])}, {names}; give both the same"
            )
    return _splits(trained, tested, names, size, f"{printable(root)} ({train}, {test})")


def _splits(
    trained: Sequence[AnnotatedImage],
    tested: Sequence[AnnotatedImage] | None,
    class_names: Sequence[str],
    size: tuple[int, int] | None,
    source: str,
) -> Splits:
    """Returns training and test examples with boxes of equally many rows."""
    both = [*trained, *(tested or ())]
    most = max((len(image.objects) for image in both), default=1)
    if size is None and both:
        sizes = {image.size for image in both}
        size = next(iter(sizes)) if len(sizes) == 1 else None
    made = [
        None if images is None else from_annotations(images, class_names, size=size, most=most)
        for images in (trained, tested)
    ]
    assert made[0] is not None
    return Splits(
        made[0],
        made[1],
        tuple(class_names),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        source=source,
    )


READERS: Mapping[str, Callable[[str, tuple[int, int] | None], Splits]] = dict(
    zip(BOXES_PREFIXES, (voc_splits, coco_splits), strict=True)
)
"""What reads the folder of a name, by how the name starts."""


def annotated_splits(name: str) -> Splits | None:
    """Returns the examples of a name such as "voc:PATH" or "coco:120x160:PATH".

    Args:
        name: the reader, then height and width that images are brought to, where they have several
            sizes, then the folder.

    Returns:
        The examples; None where the name starts with no reader.

    Raises:
        DataError: the folder cannot be read.
    """
    for start, read in READERS.items():
        if not name.startswith(start):
            continue
        rest = name.removeprefix(start)
        sized = _SIZE.fullmatch(rest)
        if sized is None:
            return read(rest, None)
        size = (int(sized[1]), int(sized[2]))
        if min(size) < 1:
            raise DataError(f"data.name: {name}: a side of 0 pixels; give HEIGHTxWIDTH, 1 or more")
        return read(sized[3], size)
    return None
