"""Answers as lines and files."""

import csv
import json

import numpy as np
import pytest
from cnnjax.inference.answers import answer_files, check_output, write_answers
from PIL import Image

from cnnjax import training


@pytest.fixture(scope="module")
def ensemble(finished, data_dir):
    return training.load_ensemble([finished[0]], data_dir=data_dir)


@pytest.fixture
def files(ensemble, tmp_path):
    """The test images as files, and a damaged one between them."""
    run = ensemble.members[0]
    paths = []
    for place in range(4):
        paths.append(tmp_path / f"{place}.png")
        Image.fromarray(run.images[place, :, :, 0]).save(paths[-1])
    paths.insert(2, tmp_path / "damaged.png")
    paths[2].write_text("x")
    return paths


def test_files_get_the_answers_of_their_images(ensemble, files):
    run = ensemble.members[0]
    expected = run.predict(run.images[:4])
    answers = list(answer_files(ensemble, files, top=10))
    assert [answer.path for answer in answers] == files
    damaged = answers.pop(2)
    assert damaged.guesses == ()
    assert str(damaged).startswith(f"{files[2]}: damaged, ")
    for answer, probabilities in zip(answers, expected, strict=True):
        assert answer.problem == ""
        named = dict(answer.guesses)
        assert list(named.values()) == sorted(named.values(), reverse=True)
        found = [named[name] for name in run.class_names]
        np.testing.assert_allclose(found, probabilities, rtol=1e-5)


def test_answers_are_written_as_csv_and_json(ensemble, files, tmp_path):
    answers = list(answer_files(ensemble, files, top=2))
    write_answers(tmp_path / "answers.csv", answers)
    with (tmp_path / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == list(map(str, files))
    for row, answer in zip(rows, answers, strict=True):
        for n, (name, probability) in enumerate(answer.guesses, start=1):
            assert row[f"class_{n}"] == name
            assert float(row[f"probability_{n}"]) == pytest.approx(probability)
        assert bool(row["problem"]) == bool(answer.problem) == (row["class_1"] == "")
    write_answers(tmp_path / "answers.json", answers)
    images = json.loads((tmp_path / "answers.json").read_text())["images"]
    assert [image["file"] for image in images] == list(map(str, files))
    assert images[2]["problem"] and images[2]["classes"] == []
    name, probability = answers[0].guesses[1]
    assert images[0]["classes"][1] == {"name": name, "probability": probability}


def test_an_evaluation_is_written_whole(ensemble, tmp_path):
    assessment = ensemble.assess()
    path = tmp_path / "evaluation.json"
    training.write_assessment(path, ensemble, assessment)
    told = json.loads(path.read_text())
    assert told["examples"] == 1309
    assert told["split"] == "validation"
    assert told["members"][0]["step"] == 6
    assert np.trace(told["confusion"]) / 1309 == told["accuracy"]
    assert sum(b["examples"] for b in told["calibration_bins"]) == 1309
    assert [c["name"] for c in told["classes"]] == list("0123456789")
    lines = training.format_assessment(ensemble, assessment).splitlines()
    assert lines[0] == f"{'validation accuracy':<22}{told['accuracy']:.2%}"
    assert any(line.startswith("images") and line.endswith("1,309") for line in lines)
    assert lines[-1].endswith("step 6")


def test_files_that_cannot_be_written_are_refused_before_any_work(tmp_path):
    with pytest.raises(training.ConfigError, match=r"must end in .csv or .json"):
        check_output(tmp_path / "a.txt", [".csv", ".json"])
    with pytest.raises(training.ConfigError, match="does not exist or is not writable"):
        check_output(tmp_path / "none" / "a.csv", [".csv"])
