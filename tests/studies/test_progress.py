"""The estimate of the time left, and the line that shows it."""

import logging

import pytest

from cnnjax.studies import progress as progress_file
from cnnjax.studies.cost import Cost
from cnnjax.studies.plan import plan_runs
from cnnjax.studies.progress import RunProgress, StudyProgress
from tests.studies import fake_training


@pytest.fixture
def clock(monkeypatch):
    """Seconds since the start, which a test sets."""
    seconds = [0.0]
    monkeypatch.setattr(progress_file.time, "monotonic", lambda: seconds[0])
    return seconds


@pytest.fixture
def started(tmp_path, clock):
    """The progress of twelve runs, of which those of 20 layers cost three times the others."""
    study, folder = fake_training.study_and_folder(tmp_path)
    runs = plan_runs(study)
    costs = {run.name: Cost(3 if run.labels["depth"] == "20" else 1, 100) for run in runs}
    names = [run.name for run in runs]
    progress = StudyProgress(names, folder, costs, lambda name: folder.is_finished(name, study))
    return progress, folder, runs


def test_the_time_left_is_that_of_the_work_left(started, clock):
    progress, folder, runs = started
    assert progress.line() == "0 of 12 runs finished"
    folder.run(runs[0].name).mkdir(parents=True)
    folder.write_outcomes(runs[0].name, {"error": 0.0}, 1.0)
    progress.finished(runs[0].name, before=0.0)
    # Of 2,400 in all, 100 took 10 s; half of the next one, of 300, is done.
    clock[0] = 25
    assert progress.line(runs[1].name, share=0.5) == "1 of 12 runs finished, 0:03:35 left"


def test_what_an_earlier_start_did_is_not_this_ones_speed(started, clock):
    progress, _, runs = started
    clock[0] = 10
    # 300 x 0.25 in 10 s; 2,400 - 225 are left.
    assert progress.line(runs[1].name, share=0.75, before=0.5).endswith("0:04:50 left")


def test_other_processes_share_the_work(started, clock):
    progress, folder, runs = started
    claims = folder.claims()
    assert claims.acquire(runs[1].name) and claims.acquire(runs[2].name)
    clock[0] = 10
    assert progress.line(runs[1].name, share=0.75, before=0.5).endswith("0:02:25 left")


def test_a_failed_run_is_not_waited_for(started, clock):
    progress, folder, runs = started
    for run in runs[1:]:
        folder.write_failure(run.name, "it failed", "")
    folder.run(runs[0].name).mkdir(parents=True)
    folder.write_outcomes(runs[0].name, {"error": 0.0}, 1.0)
    progress.finished(runs[0].name, before=0.0)
    clock[0] = 10
    assert progress.line() == "1 of 12 runs finished, 11 failed"


def test_a_line_is_logged_now_and_then(started, clock, caplog, tmp_path):
    progress, _, runs = started
    (tmp_path / "run" / "checkpoints" / "00000040").mkdir(parents=True)
    run = RunProgress(progress, runs[1].name, 100, tmp_path / "run")
    assert run.before == 0.4
    with caplog.at_level(logging.INFO, "cnnjax"):
        for clock[0], step in ((29, 50), (30, 60), (59, 70), (60, 80)):
            run.on_log(step, {})
    assert [message.partition(";")[0] for message in caplog.messages] == [
        f"{runs[1].name}: step 60 of 100",
        f"{runs[1].name}: step 80 of 100",
    ]
