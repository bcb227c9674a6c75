"""Examples of image files with boxes, brought to one size."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnjax.data.annotations.annotated import AnnotatedImage, class_labels
from cnnjax.data.array_examples import ArrayExamples
from cnnjax.data.errors import DataError
from cnnjax.data.examples import Examples, PartSpec, Spec
from cnnjax.data.kinds import Kind
from cnnjax.data.read.decode import DamagedImage, decode_image, opencv
from cnnjax.data.read_options import RESIDENT_BYTES
from cnnjax.data.user_files import read_regular
from cnnjax.writing import printable


@dataclass(frozen=True, eq=False)
class BoxImages(Examples):
    """Image files with boxes, each decoded when it is read.

    Attributes:
        images: the files with their objects.
        labels: the label of each object of each image.
        size: height and width that images are resized to; boxes are scaled alike.
        most: rows of the boxes of each example.
    """

    images: tuple[AnnotatedImage, ...]
    labels: tuple[tuple[int, ...], ...]
    size: tuple[int, int]
    most: int

    @property
    def spec(self) -> Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The form of each part."""
        whole = np.dtype(np.int32)
        return {
            "image": PartSpec((*self.size, 3), np.dtype(np.uint8), "image"),
            "boxes": PartSpec((self.most, 4), np.dtype(np.float32), "boxes"),
            "boxes_count": PartSpec((), whole, "count"),
            "boxes_label": PartSpec((self.most,), whole, "labels"),
        }

    def __len__(self) -> int:
        return len(self.images)

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Reads one example; see `Examples.read`.

        Args:
            position: position of the example.
            generator: ignored, since nothing here is random.

        Raises:
            DamagedImage: the image cannot be decoded, or has another size than before.
        """
        del generator
        image = self.images[position]
        pixels = decode_image(read_regular(image.path))
        if pixels.shape[:2] != image.size:
            height, width = pixels.shape[:2]
            raise DamagedImage(
                f"it has {width}x{height} pixels once it is upright, but {printable(image.source)} "
                f"is for {image.size[1]}x{image.size[0]}"
            )
        if self.size != image.size:
            cv2 = opencv()
            shrinks = self.size[0] <= image.size[0] and self.size[1] <= image.size[1]
            # INTER_AREA averages over the pixels that become one, which avoids aliasing.
            method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            pixels = cv2.resize(pixels, self.size[::-1], interpolation=method)
        return {"image": pixels, **self._boxes(position)}

    def column(self, part: str) -> np.ndarray:
        """Returns one part of all examples; only images are decoded. See `Examples.column`.

        Args:
            part: name of the part.
        """
        self.require(part)
        if part == "image":
            return super().column(part)
        return np.stack([self._boxes(position)[part] for position in range(len(self))])

    def name(self, position: int) -> str:
        """Returns the path of an image file; see `Examples.name`.

        Args:
            position: position of the example.
        """
        return printable(self.images[position].path)

    def identity(self) -> dict[str, Any]:
        """Returns a digest of the files' names and boxes; see `Examples.identity`."""
        digest = hashlib.sha256(repr((self.size, self.most)).encode())
        for image, labels in zip(self.images, self.labels, strict=True):
            boxes = [each.box for each in image.objects]
            digest.update(repr((image.path.name, image.size, boxes, labels)).encode())
        return {"annotations": digest.hexdigest()[:16]}

    def _boxes(self, position: int) -> dict[str, np.ndarray]:
        image = self.images[position]
        boxes = np.zeros((self.most, 4), np.float32)
        labels = np.full(self.most, -1, np.int32)
        scale = np.array(self.size, np.float64) / image.size
        for row, each in enumerate(image.objects):
            boxes[row] = np.array(each.box) * np.tile(scale, 2)
            labels[row] = self.labels[position][row]
        count = np.int32(len(image.objects))
        return {"boxes": boxes, "boxes_count": np.asarray(count), "boxes_label": labels}


def from_annotations(
    images: Sequence[AnnotatedImage],
    class_names: Sequence[str],
    *,
    size: tuple[int, int] | None = None,
    most: int | None = None,
) -> Examples:
    """Makes examples of image files with boxes: `image`, `boxes`, `boxes_count`, `boxes_label`.

    They are kept in memory where they fit, and read on demand elsewhere. Images of other
    proportions than `size` are stretched, and boxes with them.

    Args:
        images: what `read_voc` or `read_coco` returned.
        class_names: a name for each label.
        size: height and width of the examples' images; None for the files' own, if all are equal.
        most: rows of the boxes of each example; None for as many as an image has at most.

    Raises:
        DataError: there are no images, they have several sizes and none is given, an image has more
            objects than rows, or a class is unknown.
    """
    images = tuple(images)
    if not images:
        raise DataError("images: there are none; give at least one")
    sizes = sorted({image.size for image in images})
    if size is None and len(sizes) > 1:
        raise DataError(
            f"size: the images have {len(sizes)} sizes, from {sizes[0]} to {sizes[-1]} (height, "
            "width); give the one that they are brought to"
        )
    needed = max(len(image.objects) for image in images)
    if most is not None and most < needed:
        crowded = max(images, key=lambda image: len(image.objects))
        raise DataError(
            f"most: {most} was given, but {printable(crowded.source)} has {needed} objects for "
            f"{printable(crowded.path)}; give {needed} or more"
        )
    rows = needed if most is None else most
    labels = tuple(map(tuple, class_labels(images, class_names)))
    # At least one row, so that a split without objects has boxes too.
    examples = BoxImages(images, labels, size or sizes[0], max(rows, 1))
    if len(images) * int(np.prod(examples.spec["image"].shape)) > RESIDENT_BYTES:
        return examples
    try:
        arrays = examples.take(np.arange(len(images)))
    except (DamagedImage, OSError):
        # Read on demand, a damaged image is left out and named.
        return examples
    kinds: dict[str, Kind] = {name: part.kind for name, part in examples.spec.items()}
    return ArrayExamples(arrays, kinds, examples.identity())
