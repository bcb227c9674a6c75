import dataclasses

import numpy as np
import pytest

from cnnjax import data
from cnnjax.data.read import arrays as arrays_module


def test_the_second_read_decodes_nothing(tmp_path, monkeypatch):
    digits = data.dataset("digits")
    first = data.load_arrays(digits, "test", str(tmp_path))
    monkeypatch.setattr(arrays_module, "_decode", None)
    second = data.load_arrays(digits, "test", str(tmp_path))
    for part in ("image", "label"):
        np.testing.assert_array_equal(first.column(part), second.column(part))


def test_arrays_of_another_size_than_in_the_catalogue_are_refused(tmp_path):
    digits = data.dataset("digits")
    data.load_arrays(digits, "test", str(tmp_path))
    larger = dataclasses.replace(digits, split_sizes={"test": 361})
    with pytest.raises(ValueError, match=r"digits/test .*expected images \(361, 8, 8, 1\)"):
        data.load_arrays(larger, "test", str(tmp_path))


def test_an_unknown_split_names_the_known_ones():
    with pytest.raises(
        ValueError, match=r"'dev' is unknown for digits; it has \['test', 'train'\]"
    ):
        data.load_arrays(data.dataset("digits"), "dev")


def test_an_unknown_dataset_names_the_nearest():
    with pytest.raises(ValueError, match=r"'digit' is unknown; did you mean digits"):
        data.dataset("digit")


def test_photographs_of_many_sizes_fit_no_array(photographs):
    with pytest.raises(data.DataError, match=r"have many sizes, and fit no array"):
        data.load_arrays(data.dataset(f"folder:{photographs}"), "train")
