"""A whole search in one process: real runs, the choice, the test split, and the files."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from cnnjax import data, inference, recipes, studies, training

TINY = Path(__file__).with_name("tiny_search.py")


@pytest.fixture(scope="module")
def searched(tmp_path_factory, data_dir):
    """A search of three real trials, its folder, and which splits were read before the choice."""
    workdir = tmp_path_factory.mktemp("search")
    reads: list[tuple[str, bool]] = []
    original = data.load_examples

    def spy(dataset, split, *arguments, **options):
        reads.append((split, (workdir / "choice.json").exists()))
        return original(dataset, split, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch, jax.numpy_dtype_promotion("standard"):
        patch.setattr(data, "load_examples", spy)
        options = studies.WorkOptions(data_dir=data_dir)
        results = studies.run_search(studies.load_search(TINY), workdir, options=options)
    return results, workdir, reads


def test_the_test_split_is_read_once_a_seed_and_only_after_the_choice(searched):
    results, _, reads = searched
    assert [chosen for split, chosen in reads if split == "test"] == [True, True]
    assert ("train", False) in reads
    # Trials are compared on validation examples.
    assert {trial.state for trial in results.trials} == {"finished"}


def test_each_trial_is_an_ordinary_run_with_its_settings(searched):
    results, workdir, _ = searched
    for trial in results.trials:
        folder = workdir / "runs" / trial.name
        lines = training.read_metrics(folder)
        assert {line["split"] for line in lines} == {"train", "validation"}
        evaluated = [line["accuracy"] for line in lines if line["split"] == "validation"]
        assert list(trial.course.values()) == evaluated and trial.value == evaluated[-1]
        config = recipes.parse_config(inference.load(folder).config)
        assert config.optimizer.learning_rate == trial.changes["optimizer.learning_rate"]
        assert config.optimizer.name == trial.changes["optimizer.name"]


def test_the_best_is_trained_on_all_examples_and_scored(searched, data_dir):
    """The scores are those that `evaluate` finds in the runs' folders."""
    results, workdir, _ = searched
    values = [trial.value for trial in results.trials]
    assert results.choice.trial == int(np.argmax(values))
    assert results.retrained == ["retrained_seed-0", "retrained_seed-1"]
    folder = workdir / "runs" / "retrained_seed-1"
    network = inference.load(folder, data_dir=data_dir)
    config = recipes.parse_config(network.config)
    assert (config.seed, config.data.validation_examples) == (1, 0)
    evaluated = network.evaluated()
    assert evaluated.split == "test" and len(evaluated) == 360
    right = np.argmax(evaluated.predictions, -1) == evaluated.parts["label"]
    assert results.tested[folder.name]["accuracy"] == pytest.approx(right.mean())
    assert {line["split"] for line in training.read_metrics(folder)} == {"train"}


def test_the_results_are_written_as_page_table_and_values(searched):
    results, workdir, _ = searched
    page = (workdir / "results.md").read_text()
    assert page == studies.search_page(results) + "\n"
    assert page.startswith("# Which rate suits a tiny network?\n")
    assert f"(trial {results.choice.trial} of 3)" in page and "3 trials: 3 finished" in page
    assert "trained again on the training examples and those that were held out" in page
    mean = np.mean([found["accuracy"] for found in results.tested.values()])
    assert f"| {mean:.4g} ± " in page
    rows = list(csv.DictReader((workdir / "results.csv").read_text().splitlines()))
    assert [float(row["accuracy"]) for row in rows] == [t.value for t in results.trials]
    values = json.loads((workdir / "results.json").read_text())
    assert values["choice"]["trial"] == results.choice.trial
    assert values["tested"] == results.tested


def test_a_search_that_has_chosen_takes_no_more_trials(searched, data_dir):
    results, workdir, _ = searched
    more = replace(results.search, trials=4)
    options = studies.WorkOptions(data_dir=data_dir)
    with pytest.raises(training.RunFolderError, match=r"has chosen trial . of 3 already"):
        studies.run_search(more, workdir, options=options)


@pytest.mark.slow
def test_a_report_of_a_retrained_run_can_be_made(searched, data_dir):
    from cnnjax import reports

    _, workdir, _ = searched
    page = reports.write_report(workdir / "runs" / "retrained_seed-0", data_dir=data_dir)
    assert "test images were not used for training" in page.read_text()


def test_without_the_held_out_examples(searched):
    from cnnjax.studies.search.choice import plan_retraining

    results, _, _ = searched
    search = replace(results.search, retrain_on="train")
    (first, _) = plan_retraining(search, results.choice)
    best = results.trials[results.choice.trial].changes
    assert first.config.optimizer.learning_rate == best["optimizer.learning_rate"]
    assert first.config.data.validation_examples == 1309
    # A subset of the training examples grows by those that were held out.
    base = {**search.base, "data": {**search.base["data"], "train_examples": 100}}
    both = replace(search, base=base, retrain_on="train+validation")
    assert plan_retraining(both, results.choice)[0].config.data.train_examples == 1409


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"jobs": 0}, "--jobs: 0 was given"),
        ({"only": ["trial-0009"]}, "no trial 'trial-0009'; there are trial-0000 to trial-0002"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, given, message):
    search = studies.load_search(TINY)
    with pytest.raises(training.ConfigError, match=message):
        studies.run_search(search, tmp_path / "search", **given)
    made = replace(search, source=None)
    with pytest.raises(training.ConfigError, match="read the search from its file"):
        studies.run_search(made, tmp_path / "search", jobs=2)
    assert not (tmp_path / "search").exists()


def test_files_are_loaded_as_what_they_describe():
    with pytest.raises(training.ConfigError, match="describes a search; load it with"):
        studies.load_study(TINY)
    study = TINY.parents[1] / "tiny_study.py"
    with pytest.raises(training.ConfigError, match="describes a study; load it with"):
        studies.load_search(study)
    assert isinstance(studies.load(TINY, "eight"), studies.Search)
    assert isinstance(studies.load(study), studies.Study)


def test_a_dry_run_lists_settings_and_costs(data_dir):
    text = studies.format_search(studies.load_search(TINY, "eight"), studies.TrialCosts(data_dir))
    lines = text.splitlines()
    assert lines[0].startswith("trial-0000  optimizer.learning_rate=")
    # 8x8 digits: 16 outputs of a 3x3 kernel for each of 4 filters, then 64 values to 10 classes.
    count = 16 * 9 * 4 + 64 * 10
    (first,) = [line for line in lines[9:] if line.startswith("trial-0000")]
    assert first.split()[1:3] == [f"{count:,}", "512"]
    assert lines[-1] == "then the best, trained again with 2 seeds"


def test_without_optuna_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ImportError, match=r'needs optuna.*"cnnjax\[tune\]"'):
        studies.run_search(studies.load_search(TINY), tmp_path / "search")
    assert not (tmp_path / "search").exists()
