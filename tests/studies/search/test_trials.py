"""Trials with a made-up objective: what is tried, ended early, chosen and taken up again."""

import logging
import threading

import pytest

from cnnjax import studies, training
from cnnjax.studies.search.choice import read_choice
from cnnjax.studies.search.journal import JOURNAL
from cnnjax.studies.search.trials import Trials, check_journal
from cnnjax.studies.search.worker import work_on_search
from tests.studies.search.made_up import RATE, Training, accuracy, make_search

QUICK = studies.WorkOptions(poll_seconds=0.01)


@pytest.fixture
def fake(monkeypatch):
    return Training(monkeypatch)


def work(search, workdir, names=(), options=QUICK):
    work_on_search(search, studies.StudyFolder(workdir), options, names)
    return Trials(search, workdir, higher_is_better=True).all()


def test_every_trial_is_trained_and_the_best_is_retrained_and_scored(fake, tmp_path):
    search = make_search()
    trials = work(search, tmp_path)
    assert [trial.state for trial in trials] == ["finished"] * 8
    for trial in trials:
        config = studies.plan_trial(search, trial.number).config
        assert config.optimizer.learning_rate == trial.changes[RATE]
        assert trial.value == accuracy(config, 9)
        assert list(trial.course) == list(range(1, 10))
    best = max(trials, key=lambda trial: trial.value or 0.0)
    choice = read_choice(tmp_path)
    assert choice is not None and (choice.trial, choice.trials) == (best.number, 8)
    assert choice.changes[RATE] == best.changes[RATE]
    assert fake.trained[8:] == [("retrained_seed-0", 9), ("retrained_seed-1", 9)]
    folder = studies.StudyFolder(tmp_path)
    assert folder.outcomes("retrained_seed-1") == {
        "accuracy": pytest.approx((best.value or 0.0) - 0.1)
    }
    # Nothing is left, and nothing is done again.
    assert work(search, tmp_path) == trials and len(fake.trained) == 10


def test_the_same_seed_gives_the_same_trials(fake, tmp_path):
    search = make_search(pruning=studies.Halving(1, 3), trials=6)
    first, again = (work(search, tmp_path / name) for name in ("first", "again"))
    assert first == again


def test_bad_trials_end_early_and_good_ones_do_not(fake, tmp_path):
    """By the rule itself: of those that came as far before, the best third goes on."""
    search = make_search(pruning=studies.Halving(1, 3), trials=24)
    trials = work(search, tmp_path)
    for rung, epoch in ((0, 1), (1, 3)):
        so_far: list[float] = []
        for trial in trials:
            if epoch not in trial.course:
                continue
            so_far.append(trial.course[epoch])
            place = sorted(so_far, reverse=True).index(trial.course[epoch])
            goes_on = place < max(1, len(so_far) // 3)
            assert goes_on == (max(trial.course) > epoch), (rung, trial.number)
    epochs = [max(trial.course) for trial in trials]
    assert set(epochs) == {1, 3, 9} and epochs.count(1) > 12
    assert [trial.share for trial in trials] == [pytest.approx(e / 9) for e in epochs]
    for trial in trials:
        assert (trial.state == "finished") == (max(trial.course) == 9) == (trial.value is not None)


def test_a_diverged_trial_is_left_out_and_not_tried_again(fake, tmp_path):
    fake.errors["trial-0002", 3] = training.TrainingDiverged("the loss is NaN")
    trials = work(make_search(), tmp_path)
    assert (trials[2].state, trials[2].reason) == ("diverged", "the loss is NaN")
    assert trials[2].share == pytest.approx(2 / 9)
    choice = read_choice(tmp_path)
    assert choice is not None and choice.trial != 2
    assert [name for name, _ in fake.trained].count("trial-0002") == 1


def test_a_failing_trial_is_named_and_stops_no_other(fake, tmp_path, caplog):
    fake.errors["trial-0001", 2] = OSError("a broken disk")
    trials = work(make_search(), tmp_path)
    assert [trial.state for trial in trials].count("finished") == 7
    assert "the run trial-0001 failed: OSError: a broken disk" in caplog.messages
    folder = studies.StudyFolder(tmp_path)
    assert folder.failure("trial-0001") == "OSError: a broken disk"
    assert read_choice(tmp_path) is not None


def test_without_a_finished_trial_nothing_is_chosen(fake, tmp_path):
    for number in range(2):
        fake.errors[f"trial-{number:04d}", 1] = training.TrainingDiverged("NaN")
    trials = work(make_search(trials=2), tmp_path)
    assert [trial.state for trial in trials] == ["diverged"] * 2
    assert read_choice(tmp_path) is None and len(fake.trained) == 2


@pytest.mark.parametrize("pruning", [None, studies.Halving(2, 2)])
def test_a_trial_that_was_stopped_is_taken_up_and_counted_once(fake, tmp_path, pruning):
    search = make_search(pruning=pruning)
    fake.errors["trial-0003", 5 if pruning is None else 2] = training.TrainingStopped("SIGTERM")
    with pytest.raises(training.TrainingStopped):
        work(search, tmp_path / "stopped")
    between = Trials(search, tmp_path / "stopped", higher_is_better=True).all()
    assert (between[3].state, between[3].started) == (None, True)
    assert not between[4].started
    stopped = work(search, tmp_path / "stopped")
    assert stopped == work(search, tmp_path / "undisturbed")


def test_two_processes_do_each_trial_once(fake, tmp_path):
    search = make_search(trials=12)
    threads = [threading.Thread(target=work, args=(search, tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trials = [f"trial-{number:04d}" for number in range(12)]
    trained = sorted(name for name, _ in fake.trained)
    assert trained == ["retrained_seed-0", "retrained_seed-1", *trials]


def test_some_trials_alone_choose_nothing(fake, tmp_path):
    trials = work(make_search(), tmp_path, names=["trial-0005"])
    assert fake.trained == [("trial-0005", 9)]
    assert [trial.state for trial in trials] == [None] * 5 + ["finished"] + [None] * 2
    assert read_choice(tmp_path) is None


def test_a_budget_ends_the_search(fake, tmp_path):
    """A trial costs 900; what pruned ones have not used is there for further ones."""
    full = work(make_search(trials=None, budget=4000.0), tmp_path / "full")
    assert len(full) == 4
    search = make_search(trials=None, budget=4000.0, pruning=studies.Halving(1, 3))
    pruned = work(search, tmp_path / "pruned")
    spent = 900 * sum(trial.share for trial in pruned)
    assert len(pruned) > 6 and 3100 < spent <= 4000
    with pytest.raises(training.ConfigError, match=r"search.budget: which trials there are"):
        studies.trial_names(search)


def test_an_unknown_metric_ends_the_search_at_its_first_evaluation(fake, tmp_path):
    search = make_search(metric="acuracy", higher_is_better=True)
    with pytest.raises(training.ConfigError, match="no metric 'acuracy'; did you mean accuracy"):
        work(search, tmp_path)
    assert fake.trained == [("trial-0000", 1)]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"space": {RATE: studies.LogUniform(1e-3, 1.0)}},
        {"base": {"data": {"validation_examples": 100}, "epochs": 8}},
        {"pruning": studies.Halving()},
        {"metric": "loss"},
    ],
)
def test_a_folder_with_trials_of_another_search_is_refused(fake, tmp_path, changes):
    work(make_search(trials=1), tmp_path)
    (name,) = changes
    with pytest.raises(training.RunFolderError, match=f"trials of another search: {name}"):
        check_journal(make_search(**changes), tmp_path, higher_is_better=name != "metric")
    # What adds trials, or words the question otherwise, is the same search.
    check_journal(make_search(trials=5, question="?"), tmp_path, higher_is_better=True)


def test_a_line_that_was_cut_is_removed_and_damage_is_named(fake, tmp_path, caplog):
    trials = work(make_search(trials=2), tmp_path)
    path = tmp_path / JOURNAL
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code":6,"wor')
    assert work(make_search(trials=2), tmp_path) == trials
    assert "its last line was cut, and is removed" in caplog.text
    path.write_bytes(whole.replace(b'\n{"', b'\n"', 1))
    with pytest.raises(training.RunFolderError, match=r"trials.log is damaged"):
        work(make_search(trials=2), tmp_path)


def test_progress_counts_trials_that_ended_early(fake, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "cnnjax"):
        work(make_search(trials=6, pruning=studies.Halving(1, 2)), tmp_path)
    assert any("since others are better; " in message for message in caplog.messages)
    assert any("6 of 6 runs finished" in message for message in caplog.messages)
