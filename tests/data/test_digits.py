import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from cnnjax import data


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("data"))
    digits = data.dataset("digits")
    return {split: data.load_arrays(digits, split, folder) for split in ("train", "test")}


def test_the_split_is_the_fixed_stratified_one(splits):
    labels = load_digits(return_X_y=True)[1]
    train, test = train_test_split(range(1797), test_size=360, stratify=labels, random_state=0)
    for name, indices in (("train", train), ("test", test)):
        wanted = np.round(load_digits(return_X_y=True)[0][indices] * 255 / 16).astype(np.uint8)
        # TFDS shuffles the examples it stores: compare them as multisets of (pixels, label).
        expected = sorted((w.tobytes(), labels[i]) for w, i in zip(wanted, indices, strict=True))
        arrays = splits[name].arrays
        stored = sorted(
            (image.tobytes(), label)
            for image, label in zip(arrays["image"], arrays["label"], strict=True)
        )
        assert stored == expected


def test_the_catalogue_states_the_mean_and_deviation_of_the_training_pixels(splits):
    digits = data.dataset("digits")
    pixels = splits["train"].arrays["image"].astype(np.float64) / 255
    assert pixels.mean() == pytest.approx(digits.mean[0], abs=5e-5)
    assert pixels.std() == pytest.approx(digits.std[0], abs=5e-5)


def test_images_and_labels_have_the_stored_types(splits):
    assert splits["train"].arrays["image"].shape == (1437, 8, 8, 1)
    assert splits["test"].arrays["label"].shape == (360,)
    assert splits["train"].arrays["image"].dtype == np.uint8
    assert splits["train"].arrays["label"].dtype == np.int32
    assert splits["train"].arrays["image"].max() == 255
