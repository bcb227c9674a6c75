"""The description of an image set, as a network and its training need it."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cnnjax.data.examples import PartSpec, Spec
from cnnjax.data.kinds import Kind

LABEL = PartSpec((), np.dtype(np.int32), "label")
"""The form of a label."""

MASK = PartSpec((), np.dtype(np.uint8), "mask")
"""The form of a mask in `Dataset.parts`: its height and width are those of the image."""


@dataclass(frozen=True)
class Dataset:
    """A set of images, each with further parts: a label, a mask or boxes.

    Attributes:
        name: name in the catalogue, TFDS name, or `folder:` and a path.
        image_shape: height, width and channels of a stored image; None for photographs (RGB) of
            many sizes, which `Framing` brings to one size.
        class_names: a name for each label, in label order.
        split_sizes: examples per split: "train" and, if there is one, "test".
        mean: mean of the training pixels per channel, on the scale 0 to 1.
        std: standard deviation of the training pixels per channel, on the scale 0 to 1.
        source: where the images come from.
        version: version of the TFDS builder; of a folder, a digest of the names of its images.
        config: configuration of the TFDS builder; "" where it has none.
        test_split: name under which the images of "test" are stored.
        folder: path of a folder of images by class; None for TFDS sets.
        split_by_hash: whether a folder holds CLASS/IMAGE, so that a hash of each image's path
            decides which split it is in.
        parts: the form of each part besides the image; masks have the image's height and width.
        features: the name under which TFDS stores a part, where it differs from the part's.
        mask_names: a name for each label of masks; empty where there are none.
        mask_labels: the label of each value that masks are stored with; None where they are equal.
    """

    name: str
    image_shape: tuple[int, int, int] | None
    class_names: tuple[str, ...] = field(repr=False)
    split_sizes: dict[str, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str
    version: str = ""
    config: str = ""
    test_split: str = "test"
    folder: Path | None = None
    split_by_hash: bool = False
    parts: Mapping[str, PartSpec] = field(default_factory=lambda: {"label": LABEL}, repr=False)
    features: Mapping[str, str] = field(default_factory=dict, repr=False)
    mask_names: tuple[str, ...] = field(default=(), repr=False)
    mask_labels: Mapping[int, int] | None = field(default=None, repr=False)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def spec(self, shape: tuple[int, int, int]) -> Spec:
        """Returns the form of its examples' parts.

        Args:
            shape: height, width and channels of an image.
        """
        return {
            "image": PartSpec(shape, np.dtype(np.uint8), "image"),
            **{
                name: dataclasses.replace(part, shape=shape[:2]) if part.kind == "mask" else part
                for name, part in self.parts.items()
            },
        }

    def limited_to(self, kinds: Collection[Kind] | None) -> "Dataset":
        """Returns the set with parts of some kinds only, so that no others are read.

        Args:
            kinds: the kinds; None for all.
        """
        if kinds is None:
            return self
        parts = {name: part for name, part in self.parts.items() if part.kind in kinds}
        return dataclasses.replace(self, parts=parts)

    @property
    def base_name(self) -> str:
        """Its name without a configuration."""
        return self.name.partition("/")[0]

    @property
    def tfds_name(self) -> str:
        """Name and configuration, as TFDS takes them."""
        return f"{self.base_name}/{self.config}" if self.config else self.name

    def stored_split(self, split: str) -> str:
        """Returns the name under which a split is stored.

        Args:
            split: "train" or "test".
        """
        return self.test_split if split == "test" else split

    def describe(self, split: str) -> dict[str, str]:
        """Returns the names that identify a split's stored examples and their order, as JSON.

        Args:
            split: "train" or "test".
        """
        return {"set": f"{self.name} {self.version}", "split": split}
