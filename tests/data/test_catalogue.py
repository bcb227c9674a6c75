from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from cnnjax import data
from cnnjax.data import classes
from cnnjax.data.read import tfds_store
from cnnjax.data.read.sources import open_source
from cnnjax.data.read.tfds_store import quiet_tfds

# From TFDS's documentation: version, classes, and numbers of training and test examples.
PUBLISHED = {
    "mnist": ("3.0.1", 10, 60_000, 10_000),
    "fashion_mnist": ("3.0.1", 10, 60_000, 10_000),
    "cifar10": ("3.0.2", 10, 50_000, 10_000),
    "cifar100": ("3.0.2", 100, 50_000, 10_000),
    "svhn_cropped": ("3.1.0", 10, 73_257, 26_032),
    "imagenette": ("1.0.0", 10, 9_469, 3_925),
    "imagenet2012": ("5.1.0", 1000, 1_281_167, 50_000),
    "oxford_iiit_pet": ("4.0.0", 37, 3_680, 3_669),
}


class TwoGrays(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Three light and three dark images, with a mask that must not be mistaken for one."""

    VERSION = tfds.core.Version("1.2.0")
    pkg_dir_path = None

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(4, 4, 1)),
                    "label": tfds.features.ClassLabel(names=["dark", "light"]),
                    "mask": tfds.features.Image(shape=(4, 4, 1)),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(), "validation": self._generate_examples()}

    def _generate_examples(self):
        for number in range(6):
            image = Image.fromarray(np.full((4, 4), 250 * (number % 2) + number, np.uint8))
            yield number, {"image": image, "label": number % 2, "mask": image}


@pytest.fixture(scope="module")
def grays_dir(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("grays"))
    with quiet_tfds():
        TwoGrays(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_catalogue_states_what_is_published(name):
    entry = data.dataset(name)
    sizes = entry.split_sizes
    found = (entry.version, entry.num_classes, sizes["train"], sizes["test"])
    assert found == PUBLISHED[name]
    assert len(set(entry.class_names)) == entry.num_classes
    channels = 3 if entry.image_shape is None else entry.image_shape[2]
    assert len(entry.mean) == len(entry.std) == channels
    assert entry.version == str(tfds.builder_cls(name).VERSION)


@pytest.mark.parametrize("name", ["fashion_mnist", "oxford_iiit_pet"])
def test_classes_are_in_the_order_of_the_stock_builder(name, tmp_path):
    stock: Any = tfds.builder_cls(name)(data_dir=str(tmp_path))
    assert list(data.dataset(name).class_names) == stock.info.features["label"].names


def test_imagenets_classes_have_english_names_in_the_order_of_the_stock_builder(tmp_path):
    stock: Any = tfds.builder_cls("imagenet2012")(data_dir=str(tmp_path))
    synsets = list(classes.imagenet_synsets())
    assert synsets == stock.info.features["label"].names
    names = data.dataset("imagenet2012").class_names
    # Published pairs, from both ends and around the names that two classes would share.
    for synset, name in (
        ("n01440764", "tench"),
        ("n02012849", "crane (bird)"),
        ("n02099601", "golden retriever"),
        ("n03126707", "crane (machine)"),
        ("n03710637", "maillot"),
        ("n03710721", "tank suit"),
        ("n15075141", "toilet tissue"),
    ):
        assert names[synsets.index(synset)] == name
    assert all(name == name.strip() and name for name in names)


def test_classes_of_cifar100_are_alphabetical():
    # As in the author's list.
    names = data.dataset("cifar100").class_names
    assert list(names) == sorted(names)
    assert (names[0], names[47], names[99]) == ("apple", "maple_tree", "worm")


def test_a_prepared_set_outside_the_catalogue_is_described_by_its_files(grays_dir):
    grays = data.dataset("two_grays", grays_dir)
    assert grays.image_shape == (4, 4, 1)
    assert grays.class_names == ("dark", "light")
    assert grays.split_sizes == {"train": 6, "test": 6}
    assert grays.test_split == "validation"
    arrays = data.load_arrays(grays, "test", grays_dir)
    np.testing.assert_array_equal(
        arrays.column("image")[:, 0, 0, 0] > 128, arrays.column("label") == 1
    )


def test_a_set_that_is_not_prepared_names_the_command(tmp_path):
    for look_up in (
        lambda: data.load_arrays(data.dataset("mnist"), "train", str(tmp_path)),
        lambda: data.dataset("kmnist", str(tmp_path)),
    ):
        with pytest.raises(data.DataError, match=r"cnnjax prepare k?mnist --data_dir=") as e:
            look_up()
        assert str(tmp_path) in str(e.value)


def test_prepared_configurations_are_named(grays_dir, tmp_path):
    prepared = tmp_path / "beans" / "small"
    prepared.mkdir(parents=True)
    (prepared / "1.0.0").symlink_to(f"{grays_dir}/two_grays/1.2.0")
    with pytest.raises(data.DataError, match=r"prepared there: beans/small"):
        data.dataset("beans", str(tmp_path))
    assert data.dataset("beans/small", str(tmp_path)).split_sizes["train"] == 6


def test_an_unknown_split_of_a_prepared_set_is_named(grays_dir):
    grays = data.dataset("two_grays", grays_dir)
    with pytest.raises(data.DataError, match=r"'dev' is unknown for two_grays; it has \['test'"):
        open_source(grays, "dev", grays_dir)


def test_a_set_in_another_format_on_disk_is_refused(monkeypatch, tmp_path):
    info = SimpleNamespace(file_format=SimpleNamespace(value="tfrecord"))
    monkeypatch.setattr(tfds, "builder_from_directory", lambda path: SimpleNamespace(info=info))
    with pytest.raises(data.DataError, match=r"is prepared as tfrecord; only array_record is read"):
        tfds_store.open_prepared(tmp_path)


def test_a_set_without_labels_is_refused(monkeypatch, tmp_path):
    info = SimpleNamespace(features={"image": tfds.features.Image(shape=(4, 4, 1))})
    monkeypatch.setattr(tfds_store, "open_prepared", lambda path: SimpleNamespace(info=info))
    with pytest.raises(data.DataError, match=r"has the features \['image'\]; expected an image"):
        tfds_store.read_info(tmp_path)


def test_an_unknown_name_gets_the_nearest_of_the_catalogue_and_of_tfds():
    with pytest.raises(data.DataError, match=r"'fasion_mnist' is unknown; did you mean fashion_"):
        data.dataset("fasion_mnist")
    with pytest.raises(data.DataError, match=r"did you mean .*tf_flowers"):
        data.dataset("tf_flower")
