"""The parts of one stored example, decoded and framed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cnnjax.data.dataset import Dataset
from cnnjax.data.errors import DataError
from cnnjax.data.examples import PartSpec, Spec
from cnnjax.data.read.decode import MAX_PIXELS, DamagedImage, decode_image
from cnnjax.data.read.framing import Box, Framing
from cnnjax.data.read.masks import decode_mask, labeled
from cnnjax.data.read.sources import Encoded


@dataclass(frozen=True)
class PartDecoder:
    """Decodes the parts of stored examples, in the form of `spec`.

    Attributes:
        spec: the form of each part; the image's is named `image`.
        framing: how photographs of many sizes get one; None for images that have one size.
        mask_names: a name for each label of masks.
        mask_labels: the label of each value that masks are stored with; None where they are equal.
        max_pixels: larger images count as damaged; see `decode_image`.
    """

    spec: Spec
    framing: Framing | None = None
    mask_names: Sequence[str] = ()
    mask_labels: Mapping[int, int] | None = None
    max_pixels: int = MAX_PIXELS

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        shape: tuple[int, int, int],
        framing: Framing | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> "PartDecoder":
        """Returns the decoder of a set's examples.

        Args:
            dataset: the set.
            shape: height, width and channels of the resulting images.
            framing: how photographs get one size; None for images that have one size.
            max_pixels: larger images count as damaged.
        """
        names, labels = dataset.mask_names, dataset.mask_labels
        return cls(dataset.spec(shape), framing, names, labels, max_pixels)

    def __call__(
        self, stored: Encoded, name: str, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Returns the parts of an example.

        Args:
            stored: the example.
            name: its name, for messages.
            generator: draws how the image is framed in training; None frames as in evaluation.

        Raises:
            DamagedImage: the image or its mask cannot be decoded, or the image does not have the
                size of the set.
            DataError: the mask has another size than the image, or unknown labels.
        """
        shape = self.spec["image"].shape
        image = decode_image(stored.content, shape[2], self.max_pixels)
        height, width = image.shape[:2]
        framing = self.framing
        box = Box(0, 0, height, width)
        if framing is not None:
            box = framing.box(height, width, generator)
        parts = {}
        for part, form in self.spec.items():
            if form.kind == "mask":
                mask = self._mask(stored.parts[part], (height, width), f"{name}: {part}")
                parts[part] = mask if framing is None else framing.resized_mask(mask, box)
            elif part != "image":
                parts[part] = _array(stored.parts[part], form, f"{name}: {part}")
        if framing is not None:
            image = framing.resized(image, box)
        # All images of a batch need one size.
        elif image.shape != shape:
            raise DamagedImage(f"it is {image.shape}, expected {shape}")
        return {"image": image, **parts}

    def _mask(self, content: bytes, size: tuple[int, int], name: str) -> np.ndarray:
        try:
            mask = decode_mask(content, self.max_pixels)
            if mask.shape != size:
                raise DataError(
                    f"it has {mask.shape[1]}x{mask.shape[0]} pixels, but its image has "
                    f"{size[1]}x{size[0]} (upright, by its EXIF data); give a mask of that size"
                )
            return labeled(mask, self.mask_names, self.mask_labels)
        except DamagedImage as error:
            raise DamagedImage(f"{name}: {error}") from None
        except DataError as error:
            raise DataError(f"{name}: {error}") from None


def _array(value: object, form: PartSpec, name: str) -> np.ndarray:
    array = np.asarray(value, form.dtype)
    if array.shape != form.shape:
        raise DataError(f"{name} has the shape {array.shape}, expected {form.shape}")
    return array
