"""TFDS builders of sets from their original files.

Name, version and features are those of TFDS's stock builders, so that any TFDS code can read the
prepared sets. The stock builders need TensorFlow; these do not. (TFDS 4.9.10.)
"""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from cnnjax.data.classes import CIFAR10, FASHION_MNIST
from cnnjax.data.prepare.published_files import Splits
from cnnjax.extras import installed_with

with installed_with("train"):
    from PIL import Image


# Not registered, since their names would collide with those of the stock builders.
class _Original(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """The common part of the builders, which take the splits as arrays that were checked before."""

    VERSION = tfds.core.Version("3.0.1")
    pkg_dir_path = None

    def __init__(self, splits: Splits, data_dir: str):
        self._splits = splits
        super().__init__(data_dir=data_dir, file_format="array_record")

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # nothing to download
        return {split: self._generate_examples(split) for split in self._splits}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        images, labels = self._splits[split]
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            # The same key as in the stock builders, since it decides the order on disk.
            yield index, {"image": _png(image), "label": int(label), **self._extra(split, index)}

    def _extra(self, split: str, index: int) -> dict[str, Any]:
        """Returns the features besides image and label."""
        del split, index
        return {}

    def _described(self, description: str, features: dict[str, Any], homepage: str) -> Any:
        return tfds.core.DatasetInfo(
            builder=self,
            description=description,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
            homepage=homepage,
        )


class Mnist(_Original, skip_registration=True):
    """TFDS builder: `image` uint8 [28, 28, 1], `label` 0 to 9, splits train and test."""

    def _info(self) -> Any:
        features = {
            "image": tfds.features.Image(shape=(28, 28, 1)),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
        homepage = "http://yann.lecun.com/exdb/mnist/"
        return self._described("The MNIST database of handwritten digits.", features, homepage)


class FashionMnist(_Original, skip_registration=True):
    """TFDS builder: `image` uint8 [28, 28, 1], `label` of ten kinds of clothing."""

    def _info(self) -> Any:
        features = {
            "image": tfds.features.Image(shape=(28, 28, 1)),
            "label": tfds.features.ClassLabel(names=list(FASHION_MNIST)),
        }
        homepage = "https://github.com/zalandoresearch/fashion-mnist"
        return self._described("Fashion-MNIST: Zalando's article images.", features, homepage)


class Cifar10(_Original, skip_registration=True):
    """TFDS builder: `image` uint8 [32, 32, 3], `label` of ten classes, `id` such as train_00000."""

    VERSION = tfds.core.Version("3.0.2")

    def _info(self) -> Any:
        features = {
            "id": tfds.features.Text(),
            "image": tfds.features.Image(shape=(32, 32, 3)),
            "label": tfds.features.ClassLabel(names=list(CIFAR10)),
        }
        homepage = "https://www.cs.toronto.edu/~kriz/cifar.html"
        return self._described("CIFAR-10: 60,000 color images.", features, homepage)

    def _extra(self, split: str, index: int) -> dict[str, Any]:
        return {"id": f"{split}_{index:05d}"}


BUILDERS: dict[str, type[_Original]] = {
    "mnist": Mnist,
    "fashion_mnist": FashionMnist,
    "cifar10": Cifar10,
}
"""The builder of each set that is prepared from its original files."""


def _png(image: np.ndarray) -> io.BytesIO:
    """Encodes an image as PNG, since TFDS takes no arrays without TensorFlow."""
    file = io.BytesIO()
    squeezed = image[..., 0] if image.shape[2] == 1 else image
    Image.fromarray(squeezed).save(file, format="PNG")
    file.seek(0)
    return file
