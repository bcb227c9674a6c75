"""A page of a damaged run folder is written, with what is readable, and names what is not."""

import json
import os
import re
from html import unescape

import numpy as np
import pytest

from cnnjax import reports
from cnnjax.reports.run_record import RunRecord
from cnnjax.training.errors import RunFolderError
from cnnjax.writing import write_text
from tests.reports.fakes import fake_network, metrics_line, write_run_folder

EVENT = {"time": "2026-01-01T00:00:00", "event": "started", "step": 0}
LAYOUT = {"mesh": {"data": 2}, "devices": ["cpu", "cpu"], "parallel": "jit", "processes": 1}


@pytest.fixture
def folder(tmp_path):
    write_run_folder(tmp_path, run={"command": ["train"], "layout": LAYOUT})
    (tmp_path / "events.jsonl").write_text(json.dumps(EVENT) + "\n")
    return tmp_path


@pytest.fixture(scope="module")
def network():
    return fake_network(count=12, wrong=2)


def warnings(page):
    return [unescape(w) for w in re.findall(r'<p class="warning" role="note">(.*?)</p>', page)]


def replaced_by_a_folder(path):
    path.unlink()
    path.mkdir()


def replaced_by_a_pipe(path):
    path.unlink()
    os.mkfifo(path)


DAMAGES = {
    "garbage": lambda path: path.write_bytes(bytes(np.random.default_rng(0).bytes(300)) + b"\n"),
    "array": lambda path: path.write_text("[]\n"),
    "null": lambda path: path.write_text("null\n"),
    "number": lambda path: path.write_text("5\n"),
    "brackets": lambda path: path.write_text("[" * 100_000 + "\n"),
    "folder": replaced_by_a_folder,
    "pipe": replaced_by_a_pipe,
}


FILES = ("metrics.jsonl", "events.jsonl", "run.json")


def named(file, notes):
    return any(file in note and "cannot be read" in note for note in notes)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named(file, damage, folder):
    DAMAGES[damage](folder / file)
    damages = reports.read_run_record(folder).damage
    assert [name for name in FILES if named(name, damages)] == [file]


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_page_of_a_damaged_folder_names_every_file(damage, folder, network):
    for file in FILES:
        DAMAGES[damage](folder / file)
    page = reports.render(reports.read_run_record(folder), network)
    assert all(named(file, warnings(page)) for file in FILES)


def test_the_rest_of_a_damaged_file_is_shown(folder, network):
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b"\xff\xff\n")
    record = reports.read_run_record(folder)
    assert len(record.train) == 4 and len(record.evaluated) == 2
    assert "1 of 7 lines of metrics.jsonl" in warnings(reports.render(record, network))[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("command", 5),
        ("command", ["train", None]),
        ("batch_size", "ten"),
        ("batch_size", -1),
        ("layout", []),
        ("layout", {}),
        ("layout", {**LAYOUT, "mesh": {"data": "two"}}),
        ("layout", {**LAYOUT, "devices": 2}),
        ("layout", {**LAYOUT, "parameter_bytes": 100}),
    ],
)
def test_a_fact_of_another_type_is_left_out_and_named(name, value, folder, network):
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**facts, name: value}))
    record = reports.read_run_record(folder)
    note = f"run.json: {name} cannot be read and is left out."
    assert record.damage[0] == note
    assert name not in record.run
    # What a page does without the fact is the same for each of its values.
    if value in (5, "ten", []):
        assert warnings(reports.render(record, network))[0] == note


@pytest.mark.parametrize(
    "values",
    [
        {"images_per_second": float("nan")},
        {"images_per_second": 1e-320},
        {"epoch": float("inf"), "loss": float("nan")},
        {"learning_rate": -1e38, "loss": 1e38},
    ],
)
def test_a_page_of_numbers_that_cannot_be_is_written(values, tmp_path, network):
    lines = [metrics_line(5), metrics_line(10, **values), metrics_line(10, "test")]
    page = reports.render(reports.read_run_record(write_run_folder(tmp_path, lines=lines)), network)
    assert page.rstrip().endswith("</html>")


def test_a_metric_that_the_task_lacks_does_not_end_the_page(tmp_path, network):
    line = {name: v for name, v in metrics_line(10, "test").items() if name != "accuracy"}
    record = reports.read_run_record(write_run_folder(tmp_path, lines=[line]))
    reports.render(record, network)
    assert isinstance(record, RunRecord)


def test_a_folder_without_metrics_is_refused(folder):
    (folder / "metrics.jsonl").write_text("")
    with pytest.raises(RunFolderError, match="holds no metrics yet"):
        reports.read_run_record(folder)
    (folder / "metrics.jsonl").unlink()
    with pytest.raises(RunFolderError, match=r"metrics\.jsonl is missing"):
        reports.read_run_record(folder)


def test_class_names_that_are_not_utf_8_are_written_as_escapes(folder, network):
    names = (os.fsdecode(b"caf\xe9"), *network.task.class_names[1:])
    other = fake_network(count=12, wrong=2)
    other.task = type(other.task)(names)
    page = folder / "report.html"
    write_text(page, reports.render(reports.read_run_record(folder), other))
    assert r"caf\xe9" in page.read_text(encoding="utf-8")
