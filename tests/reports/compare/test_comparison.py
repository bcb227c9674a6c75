"""Which runs are compared, how they are grouped, and what is left out."""

import json
import re
import shutil

import numpy as np
import pytest
from scipy import stats

from cnnjax import reports
from cnnjax.reports.compare.curves import band, ends_note
from cnnjax.reports.compare.runs import unique_names
from cnnjax.training import ConfigError, RunFolderError
from tests.reports.compare.folders import (
    LOSSES,
    config_of,
    lines_of,
    write_four,
    write_run,
    write_study,
)

MISSING = "kind-resnet_depth-20_seed-2"


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    return write_four(tmp_path_factory.mktemp("runs"))


def test_runs_that_differ_in_their_seed_alone_are_one_setting(four):
    comparison = reports.read_comparison(four)
    assert [setting.label for setting in comparison.settings] == [
        "learning_rate 0.1",
        "learning_rate 0.01",
    ]
    assert [setting.seeds for setting in comparison.settings] == [[0, 1], [0, 1]]
    assert [dict(setting.values) for setting in comparison.settings] == [
        {"optimizer.learning_rate": "0.1"},
        {"optimizer.learning_rate": "0.01"},
    ]
    assert comparison.notes == []
    last = [np.mean([LOSSES[rate, seed][-1] for seed in (0, 1)]) for rate in (0.1, 0.01)]
    assert [setting.mean("loss")[0] for setting in comparison.settings] == pytest.approx(last)


def test_curves_have_mean_and_ends_of_the_seeds(four):
    comparison = reports.read_comparison(four)
    for setting, rate in zip(comparison.settings, (0.1, 0.01), strict=True):
        rows = np.array([LOSSES[rate, seed] for seed in (0, 1)])
        found = band(setting.runs, "loss", evaluated=True)
        expected = ([1, 2, 3], rows.mean(axis=0), rows.min(axis=0), rows.max(axis=0))
        for mine, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-12)
        training = band(setting.runs, "loss", evaluated=False)
        np.testing.assert_allclose(training[1], 2 * rows.mean(axis=0), rtol=1e-12)


def test_differences_are_paired_by_seed(four):
    (difference,) = reports.read_comparison(four).differences("loss")
    pairs = [LOSSES[0.01, seed][-1] - LOSSES[0.1, seed][-1] for seed in (0, 1)]
    assert difference.values == pytest.approx(dict(enumerate(pairs)))
    assert (difference.first.label, difference.second.label) == (
        "learning_rate 0.01",
        "learning_rate 0.1",
    )
    expected = stats.ttest_1samp(pairs, 0).confidence_interval(0.95)
    decided = difference.decided
    assert decided is not None
    assert (decided.low, decided.high) == pytest.approx((expected.low, expected.high))
    assert difference.together == ("above" if expected.low > 0 else "undecided")


def test_many_settings_are_compared_with_the_first(tmp_path):
    folders = [
        write_run(tmp_path / f"{rate}-{seed}", rate, seed)
        for rate in (1.0, 2.0, 3.0, 4.0, 5.0)
        for seed in (3, 4)
    ]
    comparison = reports.read_comparison(folders)
    assert len(comparison.settings) == 5
    assert {one.second.label for one in comparison.differences("loss")} == {"learning_rate 1"}
    few = reports.read_comparison(folders[:8])
    assert len(few.differences("loss")) == 4 * 3 / 2


def test_colors_and_dashes_distinguish_24_settings(tmp_path):
    folders = [write_run(tmp_path / f"r{rate}", float(rate)) for rate in range(1, 28)]
    settings = reports.read_comparison(folders).settings
    styles = [(setting.color, setting.dash) for setting in settings]
    assert len(set(styles[:24])) == 24 and all(color for color, _ in styles[:24])
    assert styles[24:] == [(0, 0)] * 3


def test_multiply_adds_are_counted_from_the_configuration(four):
    (run, *_) = reports.read_comparison(four).runs
    # LeNet-5 of 32x32: two convolutions of 5x5, and three dense layers.
    counted = 28 * 28 * 25 * 6 + 10 * 10 * 25 * 6 * 16 + 400 * 120 + 120 * 84 + 84 * 10
    assert run.cost is not None
    assert (run.cost.multiply_adds, run.cost.images) == (counted, 60 * 10)


def test_what_is_given_twice_or_copied_counts_once(tmp_path):
    first, second = write_run(tmp_path / "a", seed=0), write_run(tmp_path / "b", seed=1)
    shutil.copytree(first, tmp_path / "copy")
    link = tmp_path / "link"
    link.symlink_to(second)
    found = reports.read_comparison([first, second, f"{first}/", link, tmp_path / "copy"])
    assert [run.name for run in found.runs] == ["a", "b"]
    assert found.notes == [
        "a is given twice and counts once.",
        "link is given twice and counts once.",
        "copy is a copy of a and is left out.",
    ]


def test_a_damaged_line_and_a_run_without_metrics_are_named(tmp_path):
    folders = [write_run(tmp_path / name, seed=seed) for seed, name in enumerate("abcd")]
    with (folders[0] / "metrics.jsonl").open("a") as file:
        file.write('{"step": 60, "split": \n')
    (folders[1] / "metrics.jsonl").write_text("")
    (folders[3] / "metrics.jsonl").write_text("damaged\n")
    comparison = reports.read_comparison(folders)
    assert [run.name for run in comparison.runs] == ["a", "c"]
    assert comparison.notes[0] == "b has no metrics yet and is left out."
    assert comparison.notes[1].startswith("d is left out: 1 of 1 lines of metrics.jsonl cannot be")
    assert comparison.notes[2].startswith("a: 1 of 7 lines of metrics.jsonl cannot be read")
    with pytest.raises(ConfigError, match=r"1 run to compare.*b has no metrics yet"):
        reports.read_comparison(folders[:2])


def test_bad_input_is_refused_with_what_to_do(tmp_path):
    run = write_run(tmp_path / "runs" / "a")
    write_run(tmp_path / "runs" / "b", seed=1)
    (tmp_path / "file.txt").write_text("")
    study = tmp_path / "study"
    study.mkdir()
    (study / "study.json").write_text('{"rules": [], "runs": {}}')
    other = write_run(tmp_path / "other", config=config_of(0.1, 0, task={"name": "depth"}))
    lines = [{"step": 1, "epoch": 1.0, "split": "test", "depth_error": 0.5}]
    (other / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for folders, error, message in (
        ([run], ConfigError, "1 run to compare; give the folders of two runs or more"),
        ([run, run], ConfigError, "1 run to compare.*a is given twice"),
        ([], ConfigError, "0 run to compare"),
        ([run, tmp_path / "file.txt"], RunFolderError, "file.txt is not a folder"),
        ([run, tmp_path / "none"], RunFolderError, "none is not a folder"),
        ([run, tmp_path / "runs"], RunFolderError, r"is no run, but holds 2; give.*runs/\*"),
        ([run, tmp_path], RunFolderError, "is no run, but holds 1"),
        ([study, run], ConfigError, "study is a study, which is compared alone"),
        ([study], RunFolderError, "no run of the study has metrics yet"),
        ([run, other], ConfigError, "no metric in common .a logs loss, accuracy; other logs depth"),
    ):
        with pytest.raises(error, match=message):
            reports.read_comparison(folders)


def test_metrics_and_splits_that_differ_are_named(tmp_path):
    lines = [{**line, "f1": 0.5} for line in lines_of([1.0, 0.8], "validation")]
    folders = [write_run(tmp_path / "a"), write_run(tmp_path / "b", seed=1, lines=lines)]
    comparison = reports.read_comparison(folders)
    assert [metric.metric for metric in comparison.metrics] == ["loss", "accuracy"]
    assert comparison.notes == [
        "f1 is not compared: only b logged it.",
        "The runs were evaluated on different examples (test: a; validation: b).",
    ]
    (setting,) = comparison.settings
    assert ends_note([setting], "loss").startswith("The runs of a ended at different epochs")
    assert len(band(setting.runs, "loss", evaluated=True)[0]) == 2


def test_runs_of_one_configuration_and_seed_count_as_their_mean(tmp_path):
    config = config_of(0.1, 0)
    folders = [
        write_run(tmp_path / "a", 0.1, 0, config=config),
        write_run(tmp_path / "b", 0.1, 1, config=config),
        write_run(tmp_path / "c", 0.1, 1),
    ]
    comparison = reports.read_comparison(folders)
    (setting,) = comparison.settings
    assert setting.by_seed("loss") == pytest.approx({0: (0.5 + 0.7) / 2, 1: 0.7})
    (note,) = comparison.notes
    assert note.startswith("a, b have the same configuration and seed; their mean counts.")


def test_names_have_as_much_of_the_path_as_distinguishes_them(tmp_path):
    paths = [tmp_path / "x" / "run", tmp_path / "y" / "run", tmp_path / "z", tmp_path / "z"]
    assert unique_names(paths) == ["x/run", "y/run", "z", "z"]


def test_a_study_has_its_own_settings_and_seeds(tmp_path):
    write_study(tmp_path, finished=lambda run: run.name != MISSING)
    comparison = reports.read_comparison([tmp_path])
    assert comparison.study is not None
    assert (comparison.study.finished, comparison.study.planned) == (11, 12)
    assert comparison.notes == [f"No metrics yet of {MISSING}."]
    assert [setting.label for setting in comparison.settings] == [
        *("kind-plain_depth-8", "kind-plain_depth-20"),
        *("kind-resnet_depth-8", "kind-resnet_depth-20"),
    ]
    assert comparison.settings[0].seeds == [0, 1, 2]
    assert {run.cost and run.cost.total for run in comparison.runs} == {1000 * 40 * 10}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "The study has no verdict yet"),
        ("{", "The verdict cannot be shown: .*it is not JSON"),
        ('{"claim": "c", "verdict": {}, "comparisons": [], "runs": {}}', "'decision' is missing"),
        (
            '{"claim": "c", "verdict": {"decision": "d", "reason": ""}, "comparisons": [{}], '
            '"runs": {}}',
            "'role' is missing",
        ),
    ],
)
def test_a_damaged_verdict_is_named_and_the_runs_are_shown(tmp_path, content, message):
    write_study(tmp_path, finished=lambda run: run.seed == 0)
    path = tmp_path / "results.json"
    path.unlink() if content is None else path.write_text(content)
    comparison = reports.read_comparison([tmp_path])
    assert len(comparison.runs) == 4
    assert re.search(message, comparison.notes[-1])
