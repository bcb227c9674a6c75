"""Scenes of real handwritten digits on textured ground, with masks and boxes: a TFDS builder.

It needs no network: the digits are those of `digits`. Scenes of the test split hold digits of its
test split only.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from cnnjax.data.prepare import scene_sets
from cnnjax.data.prepare.digit_images import digit_images, split_indices
from cnnjax.data.prepare.scenes import Scene, SceneForm, compose
from cnnjax.extras import installed_with

with installed_with("train"):
    from PIL import Image

_SEED = 20
_SPLIT_NUMBERS = {"train": 0, "test": 1}


class DigitScenes(tfds.core.GeneratorBasedBuilder):
    """TFDS builder: `image`, `mask`, `boxes` and `label`, splits train and test.

    `mask` has a class for each pixel: 0 is the ground, 1 to 10 are the digits 0 to 9. `boxes` are
    top, left, bottom and right in pixels, `boxes_count` of them are real, and `boxes_label` is the
    digit of each; -1 where there is no object. `boxes_digit` is the place of each digit in
    scikit-learn's array. Scenes of one object have its digit as `label`.

    Args:
        form: size of a scene and number of objects.
        data_dir: TFDS data folder.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: dict[str, str] = {"1.0.0": "4,000 and 500 scenes."}  # noqa: RUF012
    pkg_dir_path = None

    def __init__(self, form: SceneForm, data_dir: str):
        self._form = form
        config = tfds.core.BuilderConfig(name=form.name, version=self.VERSION)
        super().__init__(data_dir=data_dir, config=config, file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        size, most = self._form.size, self._form.most
        picture = {"shape": (size, size, 1), "dtype": np.uint8, "encoding_format": "png"}
        return tfds.core.DatasetInfo(
            builder=self,
            description="Scenes of handwritten digits on textured ground, from scikit-learn.",
            homepage="https://archive.ics.uci.edu/dataset/80",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(**picture),
                    "mask": tfds.features.Image(**picture),
                    "boxes": tfds.features.Tensor(shape=(most, 4), dtype=np.float32),
                    "boxes_count": tfds.features.Scalar(dtype=np.int32),
                    "boxes_label": tfds.features.Tensor(shape=(most,), dtype=np.int32),
                    "boxes_digit": tfds.features.Tensor(shape=(most,), dtype=np.int32),
                    **({"label": tfds.features.ClassLabel(num_classes=10)} if most == 1 else {}),
                }
            ),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # nothing to download
        train, test = split_indices()
        return {
            "train": self._generate_examples("train", train),
            "test": self._generate_examples("test", test),
        }

    def _generate_examples(
        self, split: str, indices: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        pixels, labels = digit_images()
        digits, digit_labels = list(pixels[indices]), labels[indices].tolist()
        for number in range(scene_sets.SPLIT_SIZES[split]):
            # Each scene has its own generator. Named, since NumPy may change `default_rng`.
            seeds = [_SEED, _SPLIT_NUMBERS[split], number]
            generator = np.random.Generator(np.random.PCG64(seeds))
            scene = compose(self._form, digits, digit_labels, generator)
            yield number, self._example(scene, indices)

    def _example(self, scene: Scene, indices: np.ndarray) -> dict[str, Any]:
        real = scene.objects >= 0
        return {
            # Without TensorFlow, TFDS encodes PIL images, but no arrays.
            "image": Image.fromarray(scene.image),
            "mask": Image.fromarray(scene.mask),
            "boxes": scene.boxes,
            "boxes_count": np.int32(scene.count),
            "boxes_label": scene.labels,
            "boxes_digit": np.where(real, indices[scene.objects], scene.objects).astype(np.int32),
            **({"label": int(scene.labels[0])} if self._form.most == 1 else {}),
        }
