"""Predictions of image files, and evaluations, as lines and as files."""

import csv
import errno
import json
import os

import numpy as np
import pytest
from PIL import Image

from cnnjax import inference, training


@pytest.fixture(scope="module")
def ensemble(finished, data_dir):
    return inference.load_ensemble([finished[0]], data_dir=data_dir)


@pytest.fixture
def files(ensemble, tmp_path):
    """The test images as files, and a damaged one between them."""
    images = ensemble.members[0].examples.column("image")
    paths = []
    for place in range(4):
        paths.append(tmp_path / f"{place}.png")
        Image.fromarray(images[place, :, :, 0]).save(paths[-1])
    paths.insert(2, tmp_path / "damaged.png")
    paths[2].write_text("x")
    return paths


def test_files_get_the_predictions_of_their_images(ensemble, files):
    network = ensemble.members[0]
    expected = np.exp(network.predict(network.examples.column("image")[:4]))
    found = list(inference.predict_files(ensemble, files, top=10))
    assert [prediction.path for prediction in found] == files
    damaged = found.pop(2)
    assert damaged.answer is None
    assert str(damaged).startswith(f"{files[2]}: damaged, ")
    for prediction, probabilities in zip(found, expected, strict=True):
        assert prediction.problem == ""
        assert prediction.answer is not None
        guesses = prediction.answer.values["classes"]
        shares = {guess["name"]: guess["probability"] for guess in guesses}
        assert list(shares.values()) == sorted(shares.values(), reverse=True)
        in_order = [shares[name] for name in network.task.class_names]
        np.testing.assert_allclose(in_order, probabilities, rtol=1e-5)


def test_predictions_are_written_as_csv_and_json(ensemble, files, tmp_path):
    predictions = list(inference.predict_files(ensemble, files, top=2))
    inference.write_predictions(tmp_path / "found.csv", predictions)
    with (tmp_path / "found.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == list(map(str, files))
    for row, prediction in zip(rows, predictions, strict=True):
        guesses = prediction.answer.values["classes"] if prediction.answer else ()
        for n, guess in enumerate(guesses, start=1):
            assert row[f"class_{n}"] == guess["name"]
            assert float(row[f"probability_{n}"]) == pytest.approx(guess["probability"])
        assert bool(row["problem"]) == bool(prediction.problem) == (row["class_1"] == "")
    inference.write_predictions(tmp_path / "found.json", predictions)
    images = json.loads((tmp_path / "found.json").read_text())["images"]
    assert [image["file"] for image in images] == list(map(str, files))
    assert images[2]["problem"] and "classes" not in images[2]
    answer = predictions[0].answer
    assert answer is not None and images[0]["classes"] == answer.values["classes"]


def test_an_evaluation_is_written_whole(ensemble, tmp_path):
    evaluation = ensemble.assess()
    path = tmp_path / "evaluation.json"
    inference.write_evaluation(path, ensemble, evaluation)
    written = json.loads(path.read_text())
    assert written["examples"] == 1309
    assert written["split"] == "validation"
    assert written["members"][0]["step"] == 6
    assert np.trace(written["confusion"]) / 1309 == written["accuracy"]
    assert sum(b["examples"] for b in written["calibration_bins"]) == 1309
    assert [c["name"] for c in written["classes"]] == list("0123456789")
    lines = inference.format_evaluation(ensemble, evaluation).splitlines()
    assert lines[0] == f"{'validation accuracy':<22}{written['accuracy']:.2%}"
    assert any(line.startswith("images") and line.endswith("1,309") for line in lines)
    assert lines[-1].endswith("step 6")


def test_files_that_cannot_be_written_are_refused_before_any_work(tmp_path):
    with pytest.raises(training.ConfigError, match=r"must end in .csv or .json"):
        inference.check_output(tmp_path / "a.txt", [".csv", ".json"])
    with pytest.raises(training.ConfigError, match="does not exist or is not writable"):
        inference.check_output(tmp_path / "none" / "a.csv", [".csv"])
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(training.ConfigError, match="is no file"):
        inference.check_output(tmp_path / "folder.csv", [".csv"])
    with pytest.raises(training.ConfigError, match="cannot be written: File name too long"):
        inference.check_output(tmp_path / ("a" * 300 + ".csv"), [".csv"])


def test_a_disk_that_runs_full_is_named(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", fail)
    for name in ("a.csv", "a.json"):
        with pytest.raises(training.RunFolderError, match=rf"{name} cannot be written: No space"):
            inference.write_predictions(tmp_path / name, [])
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_not_utf_8_are_written_as_escapes(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    found = [inference.FilePrediction(tmp_path / name, None, "it is damaged")]
    inference.write_predictions(tmp_path / "a.csv", found)
    assert r"caf\xe9.png" in (tmp_path / "a.csv").read_text(encoding="utf-8")
    inference.write_predictions(tmp_path / "a.json", found)
    # JSON has an escape of its own, from which the name's bytes come back.
    (image,) = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["images"]
    assert os.fsencode(image["file"]).endswith(b"/caf\xe9.png")


def test_no_predictions_make_a_file_without_rows(tmp_path):
    inference.write_predictions(tmp_path / "found.csv", [])
    assert (tmp_path / "found.csv").read_text().split() == ["file,problem"]


def test_images_above_the_limit_are_damaged(ensemble, files):
    found = list(inference.predict_files(ensemble, files[:1], max_pixels=63))
    assert str(found[0]).startswith(
        f"{files[0]}: damaged, it has 8x8 pixels, more than the 63 that"
    )
