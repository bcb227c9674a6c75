"""The splits of a user's dataset."""

import numpy as np
import pytest

from cnnjax import data

IMAGES = np.zeros((3, 4, 5, 3), np.uint8)


def test_splits_describe_their_images():
    splits = data.Splits(data.from_arrays(image=IMAGES), mean=(0.5,))
    described = splits.describe("mine")
    assert described.image_shape == (4, 5, 3)
    assert described.split_sizes == {"train": 3}
    assert (described.mean, described.std) == ((0.5,) * 3, (1.0,) * 3)


def test_a_missing_split_is_named():
    splits = data.Splits(data.from_arrays(image=IMAGES))
    for name in ("test", "validation"):
        with pytest.raises(data.DataError, match=f"there is no split {name}"):
            splits.split(name)


def test_a_dataset_without_images_is_refused():
    splits = data.Splits(data.from_arrays(values=np.zeros((3, 2))))
    with pytest.raises(data.DataError, match=r"part: 'image' is unknown; the parts are values"):
        splits.describe("mine")
