import dataclasses
import pickle
import shutil

import jax
import numpy as np
import pytest

from cnnjax import data
from cnnjax.data.orders import ShuffledOrder
from cnnjax.data.read.encoded import load_encoded
from cnnjax.data.read.order import EvaluationOrder
from cnnjax.data.read.reader import Reader, Workers

FRAMING = data.Framing(16, 12, areas=(0.2, 1.0))


def photographs_of(folder, split="train"):
    return load_encoded(data.dataset(f"folder:{folder}"), split, framing=FRAMING)


def training(images, batch_size=8, **options) -> Reader:
    order = ShuffledOrder(jax.random.key(3), len(images), batch_size)
    return Reader(images, order, seed=5, **options)


def take(reader: Reader, count: int, first_step: int = 0) -> list:
    batches = reader.batches(first_step)
    taken = [dict(next(batches)) for _ in range(count)]
    batches.close()
    return taken


def assert_equal(left: list, right: list):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_batches_do_not_depend_on_the_number_of_threads(photographs):
    images = photographs_of(photographs)
    one = take(training(images, workers=Workers(threads=1)), 7)
    assert_equal(one, take(training(images, workers=Workers(threads=3)), 7))


def test_a_reader_started_anywhere_goes_on_as_the_whole_one(photographs):
    images = photographs_of(photographs)
    assert_equal(take(training(images), 7)[4:], take(training(images), 3, first_step=4))


def test_hosts_share_each_batch(photographs):
    images = photographs_of(photographs)
    whole = take(training(images), 4)
    parts = [take(training(images, process_index=i, process_count=2), 4) for i in range(2)]
    joined = [
        {name: np.concatenate([one[name], other[name]]) for name in one}
        for one, other in zip(*parts, strict=True)
    ]
    assert_equal(joined, whole)


def test_a_batch_that_hosts_cannot_share_is_refused(photographs):
    with pytest.raises(ValueError, match=r"batch_size: 8 .* by 3 hosts; choose a multiple of 3"):
        training(photographs_of(photographs), process_count=3)


@pytest.mark.parametrize("arguments", [{"threads": 0}, {"processes": -1}])
def test_impossible_numbers_of_workers_are_refused(arguments):
    with pytest.raises(ValueError, match=r"give 1 thread or more, and 0 processes or more"):
        Workers(**arguments)


def test_photographs_need_a_framing_and_images_of_one_size_take_none(photographs):
    with pytest.raises(ValueError, match=r"framing: None was given, but folder:.* needs a framing"):
        load_encoded(data.dataset(f"folder:{photographs}"), "train")
    with pytest.raises(ValueError, match=r"digits has images of one size: no framing"):
        load_encoded(data.dataset("digits"), "train", framing=FRAMING)


def test_the_order_is_that_of_sets_kept_on_the_device(photographs):
    images = photographs_of(photographs)
    batches = take(training(images), 6)
    for epoch in range(2):
        positions = [batch["position"] for batch in batches[3 * epoch : 3 * epoch + 3]]
        expected = data.epoch_order(jax.random.key(3), epoch, 24)
        np.testing.assert_array_equal(np.concatenate(positions), expected)


def test_labels_belong_to_their_images(photographs):
    images = photographs_of(photographs)
    labels = np.array([0] * 9 + [1] * 8 + [2] * 7)
    for batch in take(training(images), 3):
        np.testing.assert_array_equal(batch["label"], labels[batch["position"]])
        assert batch["weight"].tolist() == [1] * 8


def test_each_epoch_and_seed_cuts_otherwise(photographs):
    images = photographs_of(photographs)

    def cut_of_first(reader, first_step):
        (batch,) = take(reader, 1, first_step)
        return {int(p): image for p, image in zip(batch["position"], batch["image"], strict=True)}

    order = ShuffledOrder(jax.random.key(3), 24, 24)
    first = cut_of_first(Reader(images, order, seed=5), 0)
    second = cut_of_first(Reader(images, order, seed=5), 1)
    other_seed = cut_of_first(Reader(images, order, seed=6), 0)
    differ = [
        [np.any(first[position] != other[position]) for position in range(24)]
        for other in (second, other_seed)
    ]
    assert np.all(differ)


def test_evaluation_shows_every_image_once_at_its_center(photographs):
    images = photographs_of(photographs, "test")
    reader = Reader(images, EvaluationOrder(7, 4))
    batches = list(reader.batches())
    assert len(batches) == 2
    counted = [
        int(position)
        for batch in batches
        for position, weight in zip(batch["position"], batch["weight"], strict=True)
        if weight
    ]
    assert counted == list(range(7))
    np.testing.assert_array_equal(batches[0]["image"], data.lazy_images(images)[:4])


def test_chosen_examples_are_renumbered(photographs):
    chosen = np.array([20, 3, 11])
    images = data.choose(photographs_of(photographs), chosen)
    everything = photographs_of(photographs)
    assert images.column("label").tolist() == [2, 0, 1]
    np.testing.assert_array_equal(
        data.lazy_images(images)[np.array([1])], data.lazy_images(everything)[3:4]
    )
    assert images.name(0) == everything.name(20)


def test_a_streamed_set_of_one_size_gives_what_is_stored(data_dir):
    digits = data.dataset("digits")
    arrays = data.load_arrays(digits, "test", data_dir)
    streamed = data.load_examples(digits, "test", data_dir, resident="never")
    np.testing.assert_array_equal(streamed.column("label"), arrays.column("label"))
    images = data.lazy_images(streamed)
    np.testing.assert_array_equal(images[:], arrays.arrays["image"])
    assert images.shape == arrays.arrays["image"].shape


@pytest.fixture
def damaged(photographs, tmp_path):
    """The photographs with one truncated, one that is no image, and one missing after listing."""
    folder = shutil.copytree(photographs, tmp_path / "damaged")
    whole = (folder / "train/ants/004.jpg").read_bytes()
    (folder / "train/ants/004.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "train/bees/001.jpg").write_text("no image")
    images = photographs_of(folder)
    (folder / "train/cats/006.jpg").unlink()
    return folder, images


def test_damaged_images_keep_their_place_and_do_not_count(damaged, photographs, caplog):
    _, images = damaged
    reader = training(images)
    whole = take(training(photographs_of(photographs)), 6)
    for found, batch in zip(take(reader, 6), whole, strict=True):
        broken = np.isin(found["position"], [4, 9 + 1, 23])
        np.testing.assert_array_equal(found["position"], batch["position"])
        np.testing.assert_array_equal(found["weight"], np.where(broken, 0, 1))
        np.testing.assert_array_equal(found["image"][~broken], batch["image"][~broken])
        assert (found["image"][broken] == 128).all()
    names = sorted(name.rpartition("train/")[2] for name in reader.damaged)
    assert names == ["ants/004.jpg", "bees/001.jpg", "cats/006.jpg"]
    # Each is logged once, although it comes again in later epochs.
    warnings = [record for record in caplog.records if "left out" in record.message]
    assert len(warnings) == 3


def test_too_many_damaged_images_stop_the_reader_with_their_names(damaged):
    _, images = damaged
    with pytest.raises(data.DamagedImages, match=r"images: 3, more than the 2 that") as error:
        take(training(images, max_damaged=2), 3)
    for name in ("ants/004.jpg", "bees/001.jpg", "cats/006.jpg"):
        assert name in str(error.value)


def test_a_vanished_folder_is_reported(photographs, tmp_path):
    folder = shutil.copytree(photographs, tmp_path / "images")
    images = photographs_of(folder)
    shutil.rmtree(folder)
    with pytest.raises(data.DataError, match=r"the folder .*images is gone"):
        take(training(images), 1)


def test_an_image_of_another_size_is_damaged_where_all_have_one(data_dir):
    found = dataclasses.replace(data.dataset("digits"), image_shape=(9, 8, 1))
    larger = data.load_examples(found, "test", data_dir, resident="never")
    with pytest.raises(data.DamagedImages, match=r"it is \(8, 8, 1\), expected \(9, 8, 1\)"):
        take(training(larger, max_damaged=3), 1)


def test_the_consumers_waiting_is_counted(photographs):
    reader = training(photographs_of(photographs))
    assert reader.waiting_share == 0
    take(reader, 3)
    assert reader.waited_seconds > 0
    assert 0 < reader.waiting_share <= 1


def test_photographs_cannot_be_resident(photographs):
    found = data.dataset(f"folder:{photographs}")
    assert not data.is_resident(found)
    with pytest.raises(data.DataError, match=r"have many sizes, and are streamed"):
        data.is_resident(found, "always")


def test_sets_are_resident_up_to_a_bound():
    cifar10 = data.dataset("cifar10")
    assert data.is_resident(cifar10)
    assert not data.is_resident(cifar10, "never")
    # An image has 3,072 bytes: 699,050 take 2,147,481,600, 699,051 more than 2 * 2^30.
    for size, resident in ((699_050, True), (699_051, False)):
        larger = dataclasses.replace(cifar10, split_sizes={"train": size - 1000, "test": 1000})
        assert data.is_resident(larger) == resident
        assert data.is_resident(larger, "always")


@pytest.mark.process
def test_batches_do_not_depend_on_the_number_of_processes(photographs):
    images = photographs_of(photographs)
    there = take(training(images, workers=Workers(threads=2, processes=2)), 5)
    assert_equal(take(training(images), 5), there)


def test_prepared_sets_travel_to_other_processes(data_dir):
    digits = data.load_examples(data.dataset("digits"), "test", data_dir, resident="never")
    first = data.lazy_images(digits)[:3]  # opens the files, which stay behind
    again = data.lazy_images(pickle.loads(pickle.dumps(digits)))
    np.testing.assert_array_equal(again[:3], first)
