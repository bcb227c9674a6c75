"""`oxford_iiit_pet` by name: a small set in the form in which TFDS prepares it."""

import dataclasses

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from cnnjax import data
from cnnjax.data.read.tfds_store import quiet_tfds


class OxfordIiitPet(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Two images a split, with trimaps: 1 is the animal, 2 the background, 3 its outline."""

    VERSION = tfds.core.Version("4.0.0")
    pkg_dir_path = None
    trimap = np.kron([[2, 2, 3, 1], [2, 3, 1, 1], [2, 3, 1, 1]], np.ones((4, 4))).astype(np.uint8)

    def _info(self):
        features = {
            "image": tfds.features.Image(),
            "label": tfds.features.ClassLabel(names=list(data.dataset(PETS).class_names)),
            "species": tfds.features.ClassLabel(names=["Cat", "Dog"]),
            "file_name": tfds.features.Text(),
            "segmentation_mask": tfds.features.Image(shape=(None, None, 1), use_colormap=True),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(), "test": self._generate_examples()}

    def _generate_examples(self):
        image = Image.fromarray(np.repeat(80 * self.trimap[..., None], 3, axis=2))
        for number in range(2):
            yield (
                number,
                {
                    "image": image,
                    "label": number,
                    "species": 0,
                    "file_name": f"pet_{number}.jpg",
                    "segmentation_mask": Image.fromarray(self.trimap),
                },
            )


PETS = "oxford_iiit_pet"


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("pets"))
    with quiet_tfds():
        OxfordIiitPet(data_dir=folder, file_format="array_record").download_and_prepare()
    found = dataclasses.replace(data.dataset(PETS), split_sizes={"train": 2, "test": 2})
    return folder, found


def test_trimaps_become_two_classes_and_an_outline_that_does_not_count(pets):
    folder, found = pets
    framing = data.Framing(12, 12)
    examples = data.load_examples(found, "test", folder, framing=framing)
    parts = examples.take([0, 1])
    assert found.mask_names == ("background", "pet")
    assert parts["mask"].shape == (2, 12, 12) and set(parts["label"].tolist()) == {0, 1}
    # The central square of 12 columns of 16 begins at the third.
    table = np.array([0, 1, 0, 255], np.uint8)
    np.testing.assert_array_equal(parts["mask"][0], table[OxfordIiitPet.trimap][:, 2:14])


def test_a_task_reads_the_parts_that_it_needs_alone(pets):
    folder, found = pets
    labels = found.limited_to(("image", "label"))
    examples = data.load_examples(labels, "train", folder, framing=data.Framing(12, 12))
    assert list(examples.spec) == ["image", "label"] and "mask" not in examples.read(0)


def test_other_values_than_those_of_trimaps_are_refused_with_the_example(pets):
    folder, found = pets
    other = dataclasses.replace(found, mask_labels={1: 1, 2: 0})
    examples = data.load_examples(other, "test", folder, framing=data.Framing(12, 12))
    message = r"4.0.0, test\[0\]: mask: 48 of its pixels have the value 3.*allowed: 1, 2"
    with pytest.raises(data.DataError, match=message):
        examples.read(0)
