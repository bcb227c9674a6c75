"""Searches whose processes are killed with SIGKILL lose no trial and do none twice."""

import json
import os
import signal

import pytest

from cnnjax import training
from tests.helpers.processes import start_python

pytestmark = [pytest.mark.process, pytest.mark.slow]


def start(workdir, data_dir, *wait):
    return start_python(
        *("-m", "tests.studies.search.killable_search", workdir, data_dir, *wait),
        environment={**os.environ, "JAX_NUMPY_DTYPE_PROMOTION": "standard"},
    )


def wait_for(process, place, number):
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == f"{place} {number}":
            return
    raise AssertionError(process.communicate()[1])


def kill_at(workdir, data_dir, place, number):
    process = start(workdir, data_dir, place, str(number))
    wait_for(process, place, number)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, errors


def finish(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors


def results(workdir):
    return json.loads((workdir / "results.json").read_text())


def starts_of(workdir):
    """Returns how often each run was started from its beginning, by name."""
    return {
        folder.name: [event["event"] for event in training.read_events(folder)].count("started")
        for folder in (workdir / "runs").iterdir()
    }


def test_a_killed_search_has_the_results_of_an_undisturbed_one(tmp_path, data_dir):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    finish(start(undisturbed, data_dir))
    # While trials are added; while the first is claimed; within a trial; before its value is
    # written; and while the best is retrained.
    for place, number in (("journal", 5), ("claim", 2), ("step", 3), ("journal", 4), ("step", 25)):
        kill_at(killed, data_dir, place, number)
    finish(start(killed, data_dir))
    expected, found = results(undisturbed), results(killed)
    assert len(expected["trials"]) == 8
    states = {trial["state"] for trial in expected["trials"]}
    assert states == {"finished", "pruned"}
    assert found == expected


def test_one_of_two_processes_is_killed_and_the_other_takes_its_trial(tmp_path, data_dir):
    first = start(tmp_path, data_dir, "step", "6")
    wait_for(first, "step", 6)
    (held,) = [path.name for path in (tmp_path / "claims").glob("trial-*.claim")]
    second = start(tmp_path, data_dir)
    wait_for(second, "step", 4)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    finish(second)
    values = results(tmp_path)
    assert [trial["run"] for trial in values["trials"]] == [f"trial-{n:04d}" for n in range(8)]
    assert {trial["state"] for trial in values["trials"]} <= {"finished", "pruned"}
    assert values["failures"] == {} and len(values["tested"]) == 2
    assert set(starts_of(tmp_path).values()) == {1}
    assert held.startswith("trial-000")


def test_two_processes_do_each_trial_once(tmp_path, data_dir):
    finish(start(tmp_path, data_dir), start(tmp_path, data_dir))
    values = results(tmp_path)
    assert len(values["trials"]) == 8 and len(values["tested"]) == 2
    assert set(starts_of(tmp_path).values()) == {1} and len(starts_of(tmp_path)) == 10
