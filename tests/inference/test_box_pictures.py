"""Boxes of predictions in pixels of image files, and drawn on them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnjax import inference, training
from cnnjax.data.read.framing import Box
from cnnjax.inference.files import values_in_pixels
from cnnjax.tasks import Answer, MarkedBox

ANSWER = Answer(
    "cat 90.0%",
    {"objects": [{"class": "cat", "score": 0.9, "box": [0.25, 0.5, 0.75, 1.0]}]},
    {"boxes": 1},
    (MarkedBox(0.25, 0.5, 0.75, 1.0, "cat 90%"),),
)


def prediction(path):
    # The network saw the middle of an image of 80x120 pixels.
    return inference.FilePrediction(Path(path), ANSWER, seen=Box(0, 20, 80, 80))


def test_boxes_are_written_in_pixels_of_the_file(tmp_path):
    found = prediction("a.png")
    assert values_in_pixels(found)["objects"] == [
        {
            "class": "cat",
            "score": 0.9,
            "box": {"top": 20, "left": 60, "bottom": 60, "right": 100},
        }
    ]
    inference.write_predictions(tmp_path / "a.json", [found])
    written = json.loads((tmp_path / "a.json").read_text())["images"]
    assert written[0]["objects"][0]["box"]["right"] == 100
    assert values_in_pixels(inference.FilePrediction(Path("b"), None, "damaged")) == {}


def test_overlays_have_the_boxes_and_leave_the_rest(tmp_path):
    (tmp_path / "more").mkdir()
    paths = [tmp_path / "a.png", tmp_path / "more" / "a.png"]
    for path in paths:
        Image.new("RGB", (120, 80), (50, 60, 70)).save(path)
    folder = inference.check_folder(tmp_path / "drawn")
    damaged = inference.FilePrediction(tmp_path / "none.png", None, "damaged")
    written = inference.write_overlays(folder, [*map(prediction, paths), damaged])
    assert [path.name for path in written] == ["a.png", "a-2.png"]
    pixels = np.asarray(Image.open(written[0]))
    # Four times as large, since the image is small.
    assert pixels.shape == (320, 480, 3)
    bright = (pixels == (90, 200, 250)).all(axis=-1)
    rows, columns = np.nonzero(bright[80:])
    # The box from (20, 60) to (60, 100), but for its line and its text above.
    assert abs(rows.max() + 80 - 240) <= 2
    assert abs(columns.max() - 400) <= 2
    assert abs(columns.min() - 240) <= 2
    assert (pixels[250:] == (50, 60, 70)).all()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        training.ConfigError, match=r"--overlays: .*cannot be made: .*name a folder"
    ):
        inference.check_folder(tmp_path / "file")
