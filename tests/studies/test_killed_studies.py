"""Studies that are killed with SIGKILL and started again end as if nothing had happened."""

import json
import os
import signal

import pytest

from cnnjax import training
from tests.helpers.metrics import timeless
from tests.helpers.processes import start_python
from tests.studies import fake_training

pytestmark = pytest.mark.process


def start(workdir, data_dir, *wait):
    return start_python(
        *("-m", "tests.studies.killable_study", workdir, data_dir, *wait),
        environment={**os.environ, "JAX_NUMPY_DTYPE_PROMOTION": "standard"},
    )


def kill_at(workdir, data_dir, place, number):
    """Lets a study go on to a place, and kills it there."""
    process = start(workdir, data_dir, place, str(number))
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == f"{place} {number}":
            process.send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, errors


def finish(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors


def outcomes(workdir):
    """Returns what was measured of each run, and each run's metrics but those of time."""
    found = {}
    for folder in sorted((workdir / "runs").iterdir()):
        measured = json.loads((folder / "outcomes.json").read_text())["outcomes"]
        found[folder.name] = measured, timeless(training.read_metrics(folder))
    return found


@pytest.mark.slow
def test_a_killed_study_goes_on_with_two_processes_that_do_each_run_once(tmp_path):
    kill_at(tmp_path, "fake", "step", 5)
    # While the fourth run of this start is being claimed; the run killed before is taken at once.
    kill_at(tmp_path, "fake", "claim", 4)
    begun = len(fake_training.read_notes(tmp_path, "started"))
    finish(start(tmp_path, "fake"), start(tmp_path, "fake"))
    finished = fake_training.read_notes(tmp_path, "finished")
    assert len(finished) == len(set(finished)) == 12
    started = fake_training.read_notes(tmp_path, "started")
    assert (begun, len(started)) == (5, 13)
    measured = {name: values["error"] for name, (values, _) in outcomes(tmp_path).items()}
    assert measured["kind-resnet_depth-20_seed-2"] == pytest.approx(2.2)
    assert len(measured) == 12


@pytest.mark.slow
def test_a_study_killed_four_times_has_the_results_of_an_undisturbed_one(tmp_path, data_dir):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    finish(start(undisturbed, data_dir))
    # While the second run is being claimed; within a run; before an outcome is measured; before a
    # claim ends.
    kill_at(killed, data_dir, "claim", 2)
    kill_at(killed, data_dir, "step", 9)
    kill_at(killed, data_dir, "measure", 5)
    kill_at(killed, data_dir, "end", 4)
    finish(start(killed, data_dir))
    assert len(outcomes(undisturbed)) == 12
    assert outcomes(killed) == outcomes(undisturbed)
    results = [json.loads((f / "results.json").read_text()) for f in (undisturbed, killed)]
    assert results[0]["comparisons"] == results[1]["comparisons"]
    assert results[0]["verdict"]["decision"] == "supported"


@pytest.mark.slow
def test_two_processes_sharing_a_folder_train_each_run_once(tmp_path, data_dir):
    workdir = tmp_path / "shared"
    finish(start(workdir, data_dir), start(workdir, data_dir))
    starts = [
        event["event"]
        for folder in (workdir / "runs").iterdir()
        for event in training.read_events(folder)
        if event["event"] in ("started", "resumed", "finished")
    ]
    assert (starts.count("started"), starts.count("finished")) == (12, 12)
    assert "resumed" not in starts
