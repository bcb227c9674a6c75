"""Lines that cannot be read are left out and named; the others are read."""

import json
import os
from contextlib import closing

import pytest

from cnnjax import training
from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder.events import events_damage
from cnnjax.training.folder.json_lines import JsonLines
from cnnjax.training.folder.metrics import metrics_damage

METRICS = [{"step": s, "epoch": s / 2, "split": "train", "loss": 1 / s} for s in (1, 2, 3)]
EVENTS = [
    {"time": "2026-01-01T00:00:00", "event": name, "step": step, **details}
    for name, step, details in (
        ("started", 0, {}),
        ("compiled", 0, {"seconds": 1.5}),
        ("saved", 3, {"score": 0.5, "metric": "accuracy", "value": 0.5}),
        ("finished", 3, {"left_out": {"a.png": "cannot be decoded"}}),
    )
]


def write(path, lines):
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def test_whole_files_have_no_damage(tmp_path):
    assert metrics_damage(tmp_path) is None and events_damage(tmp_path) is None
    write(tmp_path / "metrics.jsonl", METRICS)
    write(tmp_path / "events.jsonl", EVENTS)
    assert training.read_metrics(tmp_path) == METRICS and training.read_events(tmp_path) == EVENTS
    assert metrics_damage(tmp_path) is None and events_damage(tmp_path) is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"\xff\xfe{", r"line 4 \(cut off or damaged\)"),
        (b"[" * 100_000, r"line 4 \(cut off or damaged\)"),
        (b"[]", r"line 4 \(cut off or damaged\)"),
        (b"null", r"line 4 \(cut off or damaged\)"),
        (b"5", r"line 4 \(cut off or damaged\)"),
        (b"{}", "step is no whole number"),
        (b'{"step": true, "split": "train"}', "step is no whole number"),
        (b'{"step": -1, "split": "train"}', "step is no whole number"),
        (b'{"step": 4, "split": ["train"]}', "split is no text"),
        (b'{"step": 4, "split": "train", "loss": "low"}', "loss is no number"),
        (b'{"step": 4, "split": "train", "loss": 1' + b"0" * 400 + b"}", "loss is no number"),
    ],
)
def test_a_damaged_line_is_left_out_and_named(line, problem, tmp_path):
    write(tmp_path / "metrics.jsonl", METRICS)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(line + b"\n")
    assert training.read_metrics(tmp_path) == METRICS
    with pytest.raises(AssertionError, match=rf"1 of 4 lines of metrics.jsonl .*{problem}"):
        raise AssertionError(metrics_damage(tmp_path))


@pytest.mark.parametrize(
    "details",
    [
        {"time": None},
        {"event": 5},
        {"step": "3"},
        {"event": "compiled"},
        {"event": "stopped"},
        {"event": "diverged", "message": []},
        {"event": "saved", "score": "high"},
        {"event": "saved", "metric": "accuracy"},
        {"damaged": [True]},
        {"left_out": ["a.png"]},
        {"left_out": {"a.png": None}},
    ],
)
def test_a_damaged_event_is_left_out_and_named(details, tmp_path):
    write(tmp_path / "events.jsonl", [*EVENTS, {**EVENTS[0], **details}])
    assert training.read_events(tmp_path) == EVENTS
    assert "1 of 5 lines of events.jsonl" in str(events_damage(tmp_path))


def test_the_end_of_a_killed_process_is_no_damage(tmp_path):
    write(tmp_path / "metrics.jsonl", METRICS)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'\n{"step": 4, "epo')
    assert training.read_metrics(tmp_path) == METRICS
    assert metrics_damage(tmp_path) is None


def test_a_change_of_any_bit_of_a_line_is_found(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with closing(JsonLines(path)) as file:
        for values in METRICS:
            file.append(values)
    sound = path.read_bytes()
    assert training.read_metrics(tmp_path) == METRICS and metrics_damage(tmp_path) is None
    # A digit of a loss is another digit, and the line is sound JSON.
    path.write_bytes(sound.replace(b'"loss": 0.5', b'"loss": 0.4'))
    assert training.read_metrics(tmp_path) == [METRICS[0], METRICS[2]]
    assert "1 of 3 lines" in str(metrics_damage(tmp_path))
    for place in range(sound.index(b"\n")):
        for bit in range(8):
            damaged = bytearray(sound)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            assert training.read_metrics(tmp_path) == METRICS[1:]
            assert "lines of metrics.jsonl cannot be read" in str(metrics_damage(tmp_path))


def test_many_damaged_lines_are_counted(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("x\n" * 9)
    assert "9 of 9 lines" in str(metrics_damage(tmp_path))
    assert str(metrics_damage(tmp_path)).endswith("and 6 more.")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    os.mkfifo(tmp_path / "events.jsonl")
    assert training.read_metrics(tmp_path) == training.read_events(tmp_path) == []
    assert metrics_damage(tmp_path) == "metrics.jsonl cannot be read: it is no regular file."
    assert events_damage(tmp_path) == "events.jsonl cannot be read: it is no regular file."


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path):
    target = tmp_path / "other.txt"
    target.write_text("kept")
    (tmp_path / "lines.jsonl").symlink_to(target)
    with pytest.raises(RunFolderError, match=r"lines\.jsonl is a link; move it away"):
        JsonLines(tmp_path / "lines.jsonl")
    assert target.read_text() == "kept"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_at_once(tmp_path, make):
    make(tmp_path / "lines.jsonl")
    with pytest.raises(RunFolderError, match=r"lines\.jsonl is no regular file"):
        JsonLines(tmp_path / "lines.jsonl")
