"""A whole study in one process: real runs, their files, and what is refused before them."""

import csv
import json
import shutil
from pathlib import Path

import jax
import pytest

from cnnjax import studies, training
from cnnjax.studies.cost import Cost
from tests.studies.made_up import DEPTHS, KINDS, make_study

TINY = Path(__file__).with_name("tiny_study.py")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data_dir):
    """A study of four real runs, and its folder; not to be changed."""
    workdir = tmp_path_factory.mktemp("study")
    study = studies.load_study(TINY, "four")
    with jax.numpy_dtype_promotion("standard"):
        options = studies.WorkOptions(data_dir=data_dir)
        return studies.run_study(study, workdir, options=options), workdir


def test_each_run_has_an_ordinary_folder_with_its_outcomes(finished):
    results, workdir = finished
    for run in results.runs:
        folder = workdir / "runs" / run.name
        last = [line for line in training.read_metrics(folder) if line["split"] == "validation"][-1]
        measured = json.loads((folder / "outcomes.json").read_text())["outcomes"]
        assert measured["loss"] == last["loss"]
        assert 0 <= measured["training_error"] <= 1
        assert len(measured["gradient_norms"]) == 2 and min(measured["gradient_norms"]) > 0
        assert results.outcomes[run.name] == measured


def test_gradients_at_the_start_do_not_depend_on_the_rate(finished):
    results, _ = finished
    low, high = (results.outcomes[f"rate-{rate}_seed-1"] for rate in ("low", "high"))
    assert low["gradient_norms"] == high["gradient_norms"]
    assert low["loss"] > high["loss"]


def test_the_results_are_written_as_page_table_and_values(finished):
    results, workdir = finished
    page = (workdir / "results.md").read_text()
    assert page == studies.results_page(results) + "\n"
    assert page.startswith("# Does a network learn faster at a higher rate?\n")
    assert f"**Verdict: {results.verdict.decision}**" in page
    assert "4 of 4 runs finished; scale four, seeds 0, 1;" in page
    rows = list(csv.DictReader((workdir / "results.csv").read_text().splitlines()))
    assert [row["run"] for row in rows] == [run.name for run in results.runs]
    assert float(rows[0]["loss"]) == results.outcomes[rows[0]["run"]]["loss"]
    values = json.loads((workdir / "results.json").read_text())
    assert values["comparisons"][0]["at_least"] == 0.1
    assert values["runs"]["rate-low_seed-0"]["outcomes"] == results.outcomes["rate-low_seed-0"]


def test_means_on_the_page_are_those_of_the_runs(finished):
    results, _ = finished
    losses = [results.outcomes[f"rate-low_seed-{seed}"]["loss"] for seed in (0, 1)]
    assert f"| low | 2 of 2 | {sum(losses) / 2:.4g} ± " in studies.results_page(results)


def test_a_rule_that_was_changed_after_runs_is_reported(finished, tmp_path):
    results, workdir = finished
    folder = studies.StudyFolder(tmp_path / "copy")
    shutil.copytree(workdir, folder.workdir)
    rule = studies.Rule("another claim", results.study.rule.primary)
    study = studies.Study(**{**vars(results.study), "rule": rule})
    folder.start(study, folder.costs())
    changed = studies.collect(study, results.runs, folder)
    assert "after 4 runs had finished" in studies.results_page(changed)
    assert [entry["finished_runs"] for entry in folder.rules()] == [0, 4]
    assert "had finished" not in studies.results_page(results)


def test_a_folder_of_another_study_is_refused(finished):
    results, workdir = finished
    study = results.study
    other = studies.Study(**{**vars(study), "base": {**study.base, "epochs": 5}})
    with pytest.raises(training.RunFolderError, match=r"holds another run:(.|\n)*epochs is 2"):
        studies.run_study(other, workdir)


def test_costs_are_multiply_adds_times_images(data_dir):
    """ResNet-8's and -14's by hand: 8x8 digits, 1,437 images in batches of 128."""
    kinds = studies.Factor(
        "kind", {"plain": {"model.name": "plain8_cifar"}, "resnet": {"model.name": "resnet8_cifar"}}
    )
    study = make_study(factors=[kinds, DEPTHS], base={"epochs": 1})
    costs = studies.study_costs(study, data_dir)
    # Stem; stage 1 at 8x8; stages 2 and 3, each with half the size; the dense layer.
    pixels = 8 * 8
    layers = [9 * 1 * 16, 2 * 9 * 16 * 16, (9 * 16 * 32 + 9 * 32 * 32) / 4]
    layers += [(9 * 32 * 64 + 9 * 64 * 64) / 16]
    count = int(sum(pixels * layer for layer in layers)) + 64 * 10
    assert costs["kind-plain_depth-8_seed-0"] == Cost(count, 11 * 128)
    assert costs["kind-resnet_depth-20_seed-2"] == Cost(count, 2 * 11 * 128)
    assert Cost(3, 5).total == 15
    text = studies.format_cost(studies.plan_runs(study), costs)
    assert text.splitlines()[13].split()[:2] == ["12", "runs"]
    assert f"{3 * 2 * (11 + 22) * 128:,}" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.name": "resnet9_cifar"}, r"run kind-bad_depth-8_seed-0.*6n \+ 2"),
        ({"model.overrides.shortcu": "A"}, "run kind-bad_depth-8_seed-0.*shortcu"),
        ({"data.name": "digit"}, r"run kind-bad_depth-8_seed-0.*digits"),
        ({"data.batch_size": 4, "optimizer.accumulate": 3}, "accumulate"),
    ],
)
def test_runs_that_cannot_work_are_refused_before_any(tmp_path, data_dir, changes, message):
    kinds = studies.Factor("kind", {"bad": changes, "plain": {}})
    study = make_study(factors=[kinds, DEPTHS])
    workdir = tmp_path / "study"
    with pytest.raises(training.ConfigError, match=message):
        studies.run_study(study, workdir, options=studies.WorkOptions(data_dir=data_dir))
    assert not workdir.exists()


def test_a_set_that_is_not_prepared_is_named_before_any_run(tmp_path):
    study = make_study(factors=[KINDS, DEPTHS], base={"data": {"name": "fashion_mnist"}})
    with pytest.raises(Exception, match="cnnjax prepare fashion_mnist"):
        studies.run_study(
            study, tmp_path / "study", options=studies.WorkOptions(data_dir=str(tmp_path))
        )
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"jobs": 0}, "--jobs: 0 was given"),
        ({"jobs": 2}, "read the study from its file"),
        ({"only": ["x"]}, "the study has no run 'x'"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, given, message):
    with pytest.raises(training.ConfigError, match=message):
        studies.run_study(make_study(), tmp_path / "study", **given)
    assert not (tmp_path / "study").exists()
