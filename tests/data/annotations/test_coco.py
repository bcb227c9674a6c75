"""COCO files are read as they lie, and what lies in them is refused."""

from typing import Any

import numpy as np
import pytest

from cnnjax import data
from tests.data.annotations.folders import coco_content, write_coco


def test_objects_are_those_of_the_file(tmp_path):
    images, names = data.read_coco(write_coco(tmp_path), tmp_path / "train")
    # Categories in the order of their ids, images in that of the file.
    assert names == ("cat", "dog")
    first, second = images
    assert [each.name for each in first.objects] == ["dog", "cat"]
    assert first.objects[0].box == (3, 2, 9, 6.5)
    # A box with decimals may be rounded up beyond the edge.
    assert first.objects[1].box == (0, 0, 16, 20)
    # A region of a crowd is no object.
    assert second.objects == ()
    assert second.path == tmp_path / "train" / "sub" / "b.png"


def test_splits_are_found_by_their_names(tmp_path):
    write_coco(tmp_path, split="train2017")
    write_coco(tmp_path, split="val2017")
    splits: Any = data.annotated_splits(f"coco:8x10:{tmp_path}")
    assert splits.class_names == ("cat", "dog")
    np.testing.assert_array_equal(splits.train.column("boxes_count"), [2, 0])
    np.testing.assert_array_equal(splits.split("test").column("boxes_label")[0], [1, 0])
    with pytest.raises(data.DataError, match=r"no instances_test.json; it has train2017, val2017"):
        data.coco_splits(tmp_path, test="test")
    with pytest.raises(data.DataError, match=r"no instances_train.json; it has no splits"):
        data.coco_splits(tmp_path / "train2017")
    other = coco_content(categories=[{"id": 5, "name": "dog"}, {"id": 2, "name": "cow"}])
    write_coco(tmp_path, other, split="val2017")
    with pytest.raises(data.DataError, match=r"its categories .*cow.* are not those of"):
        data.coco_splits(tmp_path)


def changed(part, row, **values):
    content = coco_content()
    content[part][row] |= values
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed("annotations", 0, bbox=[2, 3, 0, 6]), "annotation 1: the box of dog .* no area"),
        (changed("annotations", 0, bbox=[2, 3, 19, 6]), "not within the image of 20x16 pixels"),
        (changed("annotations", 0, bbox=[2, 3, 4]), r"bbox is \[2, 3, 4\], expected four numbers"),
        (changed("annotations", 0, image_id=9), "annotation 1: image_id 9 is the id of no entry"),
        (changed("annotations", 0, category_id=None), "category_id None is the id of no entry"),
        (changed("images", 1, id=7), "the id 7 is given twice in images; renumber one"),
        (changed("images", 0, width=21), r"states 21x16 pixels .*a.png has 20x16"),
        (changed("images", 0, height="16"), "image 7: height is '16', expected a whole number"),
        (changed("images", 0, file_name="c.png"), r"its image .*c.png does not exist; restore it"),
        (changed("images", 0, file_name="../a.png"), "the file name '../a.png' leads out of"),
        (changed("categories", 0, name=3), "category 5: name is 3, expected a text"),
        (coco_content(annotations=None), "annotations is no list of entries"),
        (coco_content(images=[]), "images is empty"),
        ([], "expected an object with images, annotations and categories"),
    ],
)
def test_json_that_lies_is_refused_with_its_file(tmp_path, content, message):
    with pytest.raises(data.DataError, match=message) as caught:
        data.read_coco(write_coco(tmp_path, content), tmp_path / "train")
    assert "instances_train.json" in str(caught.value)


def test_malformed_and_missing_files_are_named(tmp_path):
    file = write_coco(tmp_path)
    for text in ("{", "[" * 100_000, "\ud800".encode("utf-16", "surrogatepass").decode("latin-1")):
        file.write_text(text, encoding="latin-1")
        with pytest.raises(data.DataError, match=r"instances_train.json: malformed JSON"):
            data.read_coco(file, tmp_path / "train")
    with pytest.raises(data.DataError, match=r"none.json does not exist; give a file of COCO"):
        data.read_coco(tmp_path / "none.json", tmp_path)
