"""Predicted masks as files: in the size of the image, with the labels as pixels."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnjax import inference, tasks, training
from cnnjax.data.read.framing import Box
from cnnjax.data.read.masks import decode_mask
from cnnjax.inference.mask_pictures import whole_mask

TASK = tasks.Segmentation(("ground", "cat", "dog"))


def predicted(path, mask, seen):
    Image.fromarray(np.full((12, 20, 3), 90, np.uint8)).save(path)
    return inference.FilePrediction(path, TASK.answer(np.asarray(mask, np.uint8)), seen=seen)


def test_a_mask_covers_what_the_network_saw():
    whole = whole_mask(np.array([[0, 1], [2, 0]], np.uint8), (4, 8), Box(0, 2, 4, 4))
    expected = np.full((4, 8), 255)
    expected[:2, 2:4], expected[:2, 4:6], expected[2:, 2:4], expected[2:, 4:6] = 0, 1, 2, 0
    np.testing.assert_array_equal(whole, expected)


def test_each_image_gets_a_mask_and_an_overlay(tmp_path):
    (tmp_path / "more").mkdir()
    mask = [[0, 1], [2, 0]]
    found = [
        predicted(tmp_path / "cat.png", mask, Box(0, 4, 12, 12)),
        predicted(tmp_path / "more" / "cat.png", mask, Box(0, 0, 12, 20)),
        inference.FilePrediction(tmp_path / "gone.png", None, "damaged"),
    ]
    folder = tmp_path / "masks"
    folder.mkdir()
    written = inference.write_masks(folder, found)
    names = ["cat_mask", "cat_overlay", "cat-2_mask", "cat-2_overlay"]
    assert [path.name for path in written] == [f"{name}.png" for name in names]
    labels = decode_mask((folder / "cat_mask.png").read_bytes())
    expected = whole_mask(np.array(mask, np.uint8), (12, 20), found[0].seen)
    np.testing.assert_array_equal(labels, expected)
    with Image.open(folder / "cat_mask.png") as picture:
        # Looked at, the first label is black and the second VOC's dark red.
        assert picture.mode == "P" and picture.convert("RGB").getpixel((15, 0)) == (128, 0, 0)
    with Image.open(folder / "cat_overlay.png") as picture:
        assert picture.size == (20, 12) and picture.getpixel((0, 0)) == (90, 90, 90)
        red, green, blue = np.asarray(picture.getpixel((15, 0)))
        assert red > green == blue
    (drawn, *_) = inference.write_overlays(folder, found[:1])
    np.testing.assert_array_equal(Image.open(drawn), Image.open(folder / "cat_overlay.png"))


def test_a_folder_is_for_networks_that_segment(tmp_path):
    classifier: Any = SimpleNamespace(task=tasks.Classification(("a", "b")))
    with pytest.raises(
        training.ConfigError, match=r"does not end in \.csv or \.json; a folder is for masks"
    ):
        inference.check_mask_folder(tmp_path / "masks", classifier)
    segmenter: Any = SimpleNamespace(task=TASK)
    inference.check_mask_folder(tmp_path / "masks", segmenter)
    assert (tmp_path / "masks").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(training.ConfigError, match=r"--output: .*file cannot be made"):
        inference.check_mask_folder(tmp_path / "file", segmenter)
