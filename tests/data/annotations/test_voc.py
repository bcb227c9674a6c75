"""VOC folders are read as they lie, and what lies in them is refused."""

from typing import Any

import numpy as np
import pytest

from cnnjax import data
from tests.data.annotations.folders import annotation, image_file, write_voc

CAT, DOG = ("cat", 3, 2, 10, 8), ("dog", 1, 1, 20, 16)


@pytest.fixture
def voc(tmp_path):
    return write_voc(tmp_path, {"train": [[CAT, DOG], []], "test": [[DOG]]})


def test_boxes_count_from_the_first_pixel_to_the_last_one(voc):
    first, second = data.read_voc(voc, "train")
    assert [each.name for each in first.objects] == ["cat", "dog"]
    # The pixels 3 to 10 of a row are those from 2 to 10 where the first starts at 0.
    assert first.objects[0].box == (1, 2, 8, 10)
    assert first.objects[1].box == (0, 0, 16, 20)
    assert first.size == (16, 20)
    assert first.path.name == "train_0.png"
    assert second.objects == ()


def test_splits_have_boxes_of_equally_many_rows(voc):
    splits = data.voc_splits(voc, size=(8, 10))
    assert splits.class_names == ("cat", "dog")
    train, test = splits.train.take([0, 1]), splits.split("test").take([0])
    np.testing.assert_array_equal(train["boxes_count"], [2, 0])
    np.testing.assert_array_equal(train["boxes_label"], [[0, 1], [-1, -1]])
    np.testing.assert_array_equal(train["boxes"][0], [[0.5, 1, 4, 5], [0, 0, 8, 10]])
    np.testing.assert_array_equal(train["boxes"][1], 0)
    assert train["image"].shape == (2, 8, 10, 3)
    np.testing.assert_array_equal(test["boxes"], [[[0, 0, 8, 10], [0, 0, 0, 0]]])
    np.testing.assert_array_equal(test["boxes_label"], [[1, -1]])
    assert splits.describe("voc").image_shape == (8, 10, 3)


def test_a_name_in_a_configuration_gives_the_splits(voc):
    whole: Any = data.annotated_splits(f"voc:{voc}")
    assert whole.train.spec["image"].shape == (16, 20, 3)
    small: Any = data.annotated_splits(f"voc:8x10:{voc}")
    assert small.train.spec["image"].shape == (8, 10, 3)
    assert whole.train.identity() != small.train.identity()
    assert data.annotated_splits("digits") is None
    with pytest.raises(data.DataError, match="a side of 0 pixels"):
        data.annotated_splits(f"voc:0x4:{voc}")


def test_trainval_is_trained_on_where_there_is_a_test_list(voc):
    lists = voc / "ImageSets" / "Main"
    (lists / "trainval.txt").write_text("train_0\ntrain_1\n")
    (lists / "val.txt").write_text("train_1\n")
    assert len(data.voc_splits(voc).train) == 2
    (lists / "test.txt").unlink()
    (lists / "train.txt").write_text("train_0 -1\n")
    splits = data.voc_splits(voc)
    assert (len(splits.train), len(splits.split("test"))) == (1, 1)


def test_images_that_are_read_on_demand_are_those_in_memory(voc, monkeypatch):
    images = data.read_voc(voc, "train")
    kept = data.from_annotations(images, ["cat", "dog"], size=(8, 10))
    monkeypatch.setattr("cnnjax.data.annotations.box_images.RESIDENT_BYTES", 0)
    read = data.from_annotations(images, ["cat", "dog"], size=(8, 10))
    assert read.arrays is None
    assert kept.arrays is not None
    assert read.identity() == kept.identity()
    for name, array in kept.arrays.items():
        np.testing.assert_array_equal(read.column(name), array)
        np.testing.assert_array_equal(read.take([0, 1])[name], array)
    assert read.name(1).endswith("train_1.png")


def break_xml(voc, old, new, name="train_0"):
    path = voc / "Annotations" / f"{name}.xml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<xmax>10<", "<xmax>2<", "object 1: the box of cat .* has no area; correct or remove"),
        ("<xmax>20<", "<xmax>21<", "object 2: the box of dog .* not within the image of 20x16"),
        ("<ymin>2<", "<ymin>0<", "not within the image of 20x16 pixels .width x height.; correct"),
        ("<xmin>3<", "<xmin>nan<", "has a side that is no number"),
        ("<xmin>3<", "<xmin>three<", "<xmin> is 'three', expected a number; correct it"),
        ("<xmin>3</xmin>", "", "<xmin> is missing, expected a number"),
        ("<width>20<", "<width>0<", "states 0x16 pixels .*, but .*train_0.png has 20x16; its box"),
        ("<name>cat</name>", "", "object 1: it has no <name>"),
        ("</annotation>", "", "malformed XML .*correct or restore the file"),
        ("<annotation>", "<!DOCTYPE x [<!ENTITY a 'aa'>]><annotation>", "it has a document type"),
    ],
)
def test_xml_that_lies_is_refused_with_its_file(voc, old, new, message):
    break_xml(voc, old, new)
    with pytest.raises(data.DataError, match=message) as caught:
        data.read_voc(voc, "train")
    assert "train_0.xml" in str(caught.value)


def test_other_roots_and_missing_boxes_are_refused(voc):
    path = voc / "Annotations" / "train_1.xml"
    path.write_text("<svg/>")
    with pytest.raises(data.DataError, match="its root is <svg>, expected <annotation>"):
        data.read_voc(voc, "train")
    path.write_text("<annotation><object><name>a</name></object></annotation>")
    with pytest.raises(data.DataError, match="it has no <bndbox>; add it"):
        data.read_voc(voc, "train")


def test_missing_files_are_named_with_the_list(voc):
    (voc / "JPEGImages" / "train_1.png").unlink()
    with pytest.raises(
        data.DataError, match=r"train_1.xml: its image .*does not exist; .*train.txt"
    ):
        data.read_voc(voc, "train")
    (voc / "Annotations" / "train_1.xml").unlink()
    with pytest.raises(data.DataError, match=r"train_1.xml does not exist, and .*train.txt lists"):
        data.read_voc(voc, "train")
    with pytest.raises(data.DataError, match="no list 'tran'; did you mean train"):
        data.read_voc(voc, "tran")
    with pytest.raises(data.DataError, match="a VOC folder holds Annotations, ImageSets/Main"):
        data.read_voc(voc / "JPEGImages", "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n", "the list is empty"),
        ("train_0\ntrain_0\n", "train_0 is listed twice; remove one"),
        ("../../secret\n", "leads out of"),
    ],
)
def test_lists_that_cannot_be_used_are_refused(voc, text, message):
    (voc / "ImageSets" / "Main" / "train.txt").write_text(text)
    with pytest.raises(data.DataError, match=message):
        data.read_voc(voc, "train")


def test_a_class_of_the_test_list_alone_is_refused(voc):
    break_xml(voc, "<name>dog<", "<name>dogg<", "test_0")
    with pytest.raises(
        data.DataError, match=r"test_0.xml: the class 'dogg' is unknown; did you me"
    ):
        data.voc_splits(voc)


def test_sizes_and_rows_that_do_not_fit_are_refused(voc):
    image_file(voc / "JPEGImages" / "train_1.png", 10, 12)
    (voc / "Annotations" / "train_1.xml").write_text(annotation([], 12, 10))
    images = data.read_voc(voc, "train")
    with pytest.raises(data.DataError, match=r"the images have 2 sizes, .*give the one"):
        data.from_annotations(images, ["cat", "dog"])
    with pytest.raises(data.DataError, match=r"most: 1 was given, but .*train_0.xml has 2 objects"):
        data.from_annotations(images, ["cat", "dog"], size=(8, 8), most=1)
    with pytest.raises(data.DataError, match="there are none; give at least one"):
        data.from_annotations([], ["cat"])
