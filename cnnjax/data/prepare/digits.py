"""The default set: 1,797 real handwritten digits, as a TFDS builder that needs no network.

The images are part of scikit-learn (Alpaydin and Kaynak, "Optical recognition of handwritten
digits", UCI, 1998; test part). They have 8x8 pixels with 17 gray levels: each pixel is the number
of inked points in a 4x4 block of the 32x32 original.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from cnnjax.data.prepare.digit_images import digit_images, split_indices
from cnnjax.extras import installed_with

with installed_with("train"):
    from PIL import Image


class Digits(tfds.core.GeneratorBasedBuilder):
    """TFDS builder: `image` uint8 [8, 8, 1], `label` 0 to 9, splits train and test."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: dict[str, str] = {"1.0.0": "Stratified split 1,437/360."}  # noqa: RUF012
    pkg_dir_path = None

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Handwritten digits of 8x8 pixels, from scikit-learn.",
            homepage="https://archive.ics.uci.edu/dataset/80",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(8, 8, 1), dtype=np.uint8, encoding_format="png"
                    ),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # nothing to download
        train, test = split_indices()
        return {"train": self._generate_examples(train), "test": self._generate_examples(test)}

    def _generate_examples(self, indices: np.ndarray) -> Iterator[tuple[int, dict[str, Any]]]:
        pixels, labels = digit_images()
        for index in indices:
            # Without TensorFlow, TFDS encodes PIL images, but no arrays.
            image = Image.fromarray(pixels[index])
            yield int(index), {"image": image, "label": int(labels[index])}
