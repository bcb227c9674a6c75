"""The work of processes that share a folder, with training in no time."""

import logging
import threading
import time

import pytest

from cnnjax import studies, training
from cnnjax.studies.worker import Worker, WorkOptions
from cnnjax.training.errors import FolderInUse
from tests.studies import fake_training

QUICK = WorkOptions(poll_seconds=0.01)


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A study of twelve runs, its runs and its folder."""
    fake_training.install(monkeypatch.setattr)
    study, folder = fake_training.study_and_folder(tmp_path)
    return study, studies.plan_runs(study), folder


def work(shared, options=QUICK):
    study, runs, folder = shared
    Worker(study, runs, folder, options).work()


def test_every_run_is_trained_and_measured_once(shared, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "cnnjax"):
        work(shared)
    names = [run.name for run in shared[1]]
    assert fake_training.read_notes(tmp_path, "finished") == names
    assert shared[2].outcomes("kind-plain_depth-20_seed-1") == {"error": 2.1}
    assert "error 10; 1 of 12 runs finished, 0:0" in caplog.messages[0]
    assert caplog.messages[-1].endswith("12 of 12 runs finished")
    work(shared)
    assert fake_training.read_notes(tmp_path, "started") == names
    assert shared[2].claims().live() == []


def test_two_workers_do_each_run_once(shared, tmp_path, monkeypatch):
    fake_training.install(monkeypatch.setattr, seconds=0.01)
    threads = [threading.Thread(target=work, args=(shared,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started = fake_training.read_notes(tmp_path, "started")
    assert sorted(started) == sorted(run.name for run in shared[1])


def test_a_failing_run_is_named_and_the_others_go_on(shared, tmp_path, monkeypatch, caplog):
    study, runs, folder = shared
    bad = runs[1].name

    def fit(run, path, **options):
        if path.name == bad:
            raise training.TrainingDiverged("loss is NaN")
        return fake_training.fit(run, path, **options)

    monkeypatch.setattr("cnnjax.studies.worker.fit", fit)
    work(shared)
    assert len(fake_training.read_notes(tmp_path, "finished")) == 11
    assert f"the run {bad} failed: TrainingDiverged: loss is NaN" in caplog.messages
    results = studies.collect(study, runs, folder)
    assert results.failures == {bad: "TrainingDiverged: loss is NaN"}
    assert f"- {bad}: TrainingDiverged: loss is NaN" in studies.results_page(results)
    # Fixed, it is tried again at the next start.
    folder.clear_failure(bad)
    monkeypatch.setattr("cnnjax.studies.worker.fit", fake_training.fit)
    work(shared)
    assert folder.is_finished(bad, study) and folder.failure(bad) is None


@pytest.mark.parametrize("value", [float("nan"), [[1.0, 2.0]]])
def test_an_outcome_that_is_no_number_is_a_failure_of_its_run(shared, tmp_path, value):
    _, runs, folder = shared
    outcomes = [studies.Outcome("error", lambda trained: value)]
    study = fake_training.study_and_folder(tmp_path)[0]
    bad = studies.Study(**{**vars(study), "outcomes": outcomes})
    Worker(bad, runs[:1], folder, QUICK).work()
    assert "study.outcomes.error: it measured" in (folder.failure(runs[0].name) or "")


def test_an_unknown_metric_names_the_nearest(shared, tmp_path):
    _, runs, folder = shared
    outcome = studies.Outcome("error", studies.metric("eror"))
    study = fake_training.study_and_folder(tmp_path)[0]
    Worker(studies.Study(**{**vars(study), "outcomes": [outcome]}), runs[:1], folder, QUICK).work()
    assert "no metric 'eror'; did you mean error?" in (folder.failure(runs[0].name) or "")


def test_a_claimed_run_is_waited_for_and_taken_when_stale(shared, tmp_path, monkeypatch):
    _, runs, folder = shared
    other = folder.claims()
    other.acquire(runs[0].name)
    work(shared, WorkOptions(waits=False))
    assert len(fake_training.read_notes(tmp_path, "finished")) == 11
    work(shared, WorkOptions(poll_seconds=0.01, stale_seconds=0.2))
    assert fake_training.read_notes(tmp_path, "finished")[-1] == runs[0].name


def test_a_run_whose_claim_was_taken_is_left(shared, tmp_path, monkeypatch, caplog):
    _, runs, folder = shared
    claims = folder.claims()
    claims.stale_seconds = -1.0

    def fit(run, path, **options):
        if not (tmp_path / "taken").exists():
            (tmp_path / "taken").touch()
            taker = claims.acquire(path.name)
            time.sleep(0.2)
            assert taker is not None
            taker.release()
        return fake_training.fit(run, path, **options)

    monkeypatch.setattr("cnnjax.studies.worker.fit", fit)
    work(shared, WorkOptions(renew_seconds=0.02, poll_seconds=0.01))
    assert f"{runs[0].name} was claimed by another process: leaving it" in caplog.messages
    # It stopped at its first log, and was taken up again later.
    assert fake_training.read_notes(tmp_path, "finished").count(runs[0].name) == 1
    assert fake_training.read_notes(tmp_path, "started").count(runs[0].name) == 2


def test_a_folder_that_its_former_owner_still_holds_is_waited_for(shared, monkeypatch):
    held = [FolderInUse("workdir: in use")] * 2

    def fit(run, path, **options):
        if held:
            raise held.pop()
        return fake_training.fit(run, path, **options)

    monkeypatch.setattr("cnnjax.studies.worker.fit", fit)
    work(shared)
    study, runs, folder = shared
    assert all(folder.is_finished(run.name, study) for run in runs)


def test_a_full_disk_ends_the_work(shared, monkeypatch):
    def fit(run, path, **options):
        raise training.FolderWriteError("the disk is full")

    monkeypatch.setattr("cnnjax.studies.worker.fit", fit)
    with pytest.raises(training.FolderWriteError):
        work(shared)
    _, runs, folder = shared
    assert folder.failure(runs[0].name) is None
    assert folder.claims().live() == []


def test_a_signal_between_runs_stops_the_work(shared, monkeypatch, tmp_path):
    import signal

    def fit(run, path, **options):
        signal.raise_signal(signal.SIGTERM)
        return fake_training.fit(run, path, **options)

    monkeypatch.setattr("cnnjax.studies.worker.fit", fit)
    with pytest.raises(training.TrainingStopped, match="SIGTERM; 1 of 12 runs finished"):
        work(shared)
    assert len(fake_training.read_notes(tmp_path, "finished")) == 1
