import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from cnnjax import data
from cnnjax.commands import prepare as prepare_command
from cnnjax.data.prepare.scenes import NO_OBJECT, SceneForm, compose
from cnnjax.data.read.tfds_store import find_prepared, open_prepared
from tests.helpers.scenes import few_scenes

NAMES = ("digit_scenes/48", "digit_scenes/40_1", "digit_scenes/96_9")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with small sets of scenes, and each set's description."""
    folder = str(tmp_path_factory.mktemp("scenes"))
    with few_scenes():
        sets = {name: data.dataset(name) for name in NAMES}
        for found in sets.values():
            data.load_arrays(found, "train", folder)
    return folder, sets


@pytest.fixture(scope="module", params=NAMES)
def scenes(request, prepared):
    folder, sets = prepared
    return request.param, data.load_arrays(sets[request.param], "test", folder)


def test_scenes_have_the_form_that_the_set_states(scenes, prepared):
    name, examples = scenes
    found = prepared[1][name]
    assert examples.spec == found.spec(found.image_shape)
    assert len(found.mask_names) == 11 and len(found.class_names) == 10
    # They pass as examples of a user, too, in the same form.
    own = data.from_arrays(**examples.arrays)
    assert own.spec["boxes"].kind == "boxes" and own.spec["boxes_count"].kind == "count"
    assert own.spec["mask"] == examples.spec["mask"]


def test_each_box_bounds_the_pixels_of_its_digit(scenes):
    parts = scenes[1].arrays
    for row, (mask, count) in enumerate(zip(parts["mask"], parts["boxes_count"], strict=True)):
        covered = np.zeros_like(mask, bool)
        for box, label in zip(
            parts["boxes"][row, :count].astype(int), parts["boxes_label"][row, :count], strict=True
        ):
            top, left, bottom, right = box
            window = mask[top:bottom, left:right]
            # Boxes do not overlap, so that nothing else is within.
            assert set(np.unique(window)) <= {0, label + 1}
            for edge in (window[0], window[-1], window[:, 0], window[:, -1]):
                assert edge.any()
            covered[top:bottom, left:right] = True
        assert not mask[~covered].any()


def test_rows_without_an_object_are_filled_up(scenes):
    parts = scenes[1].arrays
    empty = np.arange(parts["boxes"].shape[1]) >= parts["boxes_count"][:, None]
    assert (parts["boxes_label"][empty] == NO_OBJECT).all() and not parts["boxes"][empty].any()
    assert (parts["boxes_label"][~empty] >= 0).all() and (parts["boxes_count"] >= 1).all()


def test_a_scene_of_one_digit_has_it_as_its_label(prepared):
    folder, sets = prepared
    parts = data.load_arrays(sets["digit_scenes/40_1"], "train", folder).arrays
    assert (parts["boxes_count"] == 1).all()
    np.testing.assert_array_equal(parts["label"], parts["boxes_label"][:, 0])
    np.testing.assert_array_equal(parts["label"] + 1, parts["mask"].max(axis=(1, 2)))


def test_scenes_hold_digits_of_their_own_split_only(prepared):
    labels = load_digits(return_X_y=True)[1]
    images = np.round(load_digits(return_X_y=True)[0] * 255 / 16).astype(np.uint8)
    own = train_test_split(range(1797), test_size=360, stratify=labels, random_state=0)
    folder, sets = prepared
    found = find_prepared(sets["digit_scenes/96_9"].tfds_name, folder)
    assert found is not None
    builder = open_prepared(found)
    agreements = []
    for split, allowed in zip(("train", "test"), own, strict=True):
        for example in builder.as_data_source(split=split):
            count = example["boxes_count"]
            digits = example["boxes_digit"]
            assert set(digits[:count].tolist()) <= set(allowed)
            np.testing.assert_array_equal(labels[digits[:count]], example["boxes_label"][:count])
            # The digit that is named is the one in the picture.
            for box, digit in zip(example["boxes"][:count].astype(int), digits, strict=False):
                shape = example["mask"][box[0] : box[2], box[1] : box[3], 0] > 0
                agreements.append(agreement(images[digit].reshape(8, 8), shape))
    assert np.mean(agreements) > 0.9


def agreement(digit: np.ndarray, shape: np.ndarray) -> float:
    """The share of pixels on which a mask agrees with the digit's ink, enlarged to its size."""
    enlarged = Image.fromarray(np.pad(digit, 1)).resize((100, 100), Image.Resampling.BICUBIC)
    ink = np.asarray(enlarged) >= 128
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    cut = Image.fromarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    return float((np.asarray(cut.resize(shape.shape[::-1])) == shape).mean())


def test_preparing_twice_gives_the_same_scenes(prepared, tmp_path):
    folder, sets = prepared
    found = sets["digit_scenes/48"]
    with few_scenes():
        again = data.load_arrays(found, "test", str(tmp_path))
    first = data.load_arrays(found, "test", folder)
    for part, array in again.arrays.items():
        np.testing.assert_array_equal(array, first.arrays[part])


def test_ink_is_darker_and_lighter_than_the_ground():
    """No threshold on gray values finds all digits, since the ground takes the same values."""
    digit = np.full((8, 8), 255, np.uint8)
    scenes = [
        compose(SceneForm(64, 1), [digit], [3], np.random.Generator(np.random.PCG64(seed)))
        for seed in range(40)
    ]
    lighter = [s.image[s.mask > 0].mean() > s.image[s.mask == 0].mean() for s in scenes]
    assert 0.2 < np.mean(lighter) < 0.8


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit_scenes/large", "'large' was given; give SIZE or SIZE_OBJECTS"),
        ("digit_scenes/64_0", "'64_0' was given"),
        ("digit_scenes/16", r"the smallest has a side of 4 pixels.*give a size of 32 or more"),
        ("digit_scenes/4096", "up to 1024 pixels"),
        ("digit_scene", "did you mean digit_scenes"),
    ],
)
def test_scenes_that_cannot_be_composed_are_refused(name, message):
    with pytest.raises(data.DataError, match=message):
        data.dataset(name)


def test_names_of_one_form_are_one_set():
    names = ("digit_scenes", "digit_scenes/64", "digit_scenes/64_4")
    assert {data.dataset(name).name for name in names} == {"digit_scenes/64"}


def test_the_program_prepares_scenes(tmp_path, capsys):
    with few_scenes():
        assert prepare_command.main(["digit_scenes/32_1", f"--data_dir={tmp_path}"]) == 0
    assert "24 train, 12 test" in capsys.readouterr().out


def test_streamed_scenes_are_those_in_memory(prepared):
    folder, sets = prepared
    found = sets["digit_scenes/48"]
    whole = data.load_arrays(found, "test", folder).take([3, 5])
    streamed = data.load_examples(found, "test", folder, resident="never").take([3, 5])
    for part, array in streamed.items():
        np.testing.assert_array_equal(array, whole[part])
