import pathlib

import pytest

from cnnjax.reports import RunRecord, read_run_record
from cnnjax.reports.run_record import flat_items
from cnnjax.training import RunFolderError
from tests.reports.fakes import metrics_line, write_run_folder


def test_of_repeated_steps_the_last_written_counts(tmp_path):
    lines = [metrics_line(5), metrics_line(10, loss=9.0), metrics_line(10, loss=2.0)]
    record = read_run_record(write_run_folder(tmp_path, lines=lines))
    assert [line["loss"] for line in record.train] == [lines[0]["loss"], 2.0]


def test_training_time_is_images_over_speed(tmp_path):
    lines = [metrics_line(5), metrics_line(15)]
    record = read_run_record(write_run_folder(tmp_path, lines=lines))
    # 15 steps of 10 images at 100 images a second.
    assert record.training_seconds == pytest.approx(1.5)


def test_damaged_configuration_is_named(tmp_path):
    write_run_folder(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"config\.json is damaged"):
        read_run_record(tmp_path)


def test_nested_settings_become_dotted_names():
    tree = {"a": {"b": 1, "c": [1, 2]}, "d": [{"e": True}], "f": "", "g": 0.1, "h": {}}
    assert flat_items(tree) == [("a.b", "1"), ("a.c", "1, 2"), ("d.1.e", "yes"), ("g", "0.1")]


@pytest.mark.parametrize(
    ("lines", "batch", "seconds"),
    [
        # Without the batch size, or a speed of each line, the time is not known.
        ([{"step": 5, "images_per_second": 10.0}], None, None),
        ([{"step": 5, "images_per_second": 10.0}, {"step": 9}], 10, None),
        ([{"step": 5, "images_per_second": 0.0}], 10, None),
        ([], 10, 0),
        ([{"step": 5, "images_per_second": 10.0}, {"step": 9, "images_per_second": 4.0}], 8, 12.0),
    ],
)
def test_training_time_is_known_where_every_speed_is(lines, batch, seconds):
    run = {} if batch is None else {"batch_size": batch}
    assert RunRecord(pathlib.Path(), {}, run, lines, [], "test").training_seconds == seconds


def test_a_folder_without_a_description_of_the_run_is_read(tmp_path):
    write_run_folder(tmp_path)
    (tmp_path / "run.json").unlink()
    record = read_run_record(tmp_path)
    assert record.run == {} and record.training_seconds is None
    assert record.config == {"data": {"name": "digits"}, "epochs": 2}
    assert [len(record.train), len(record.evaluated), record.split] == [4, 2, "test"]
    assert list(record.events) == []
