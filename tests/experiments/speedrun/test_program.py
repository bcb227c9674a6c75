"""The program `experiments.cifar10_speedrun`: its flags, its trials and its record."""

import json
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from cnnjax import data, training
from experiments import cifar10_speedrun
from experiments.speedrun import trials
from tests.experiments.speedrun.small_run import pictures


def as_examples(images, labels):
    return data.from_arrays(image=images, label=labels)


def run_main(monkeypatch, *arguments):
    parsed = flags.FLAGS
    monkeypatch.setattr(
        data,
        "load_arrays",
        lambda dataset, split, folder: as_examples(
            *pictures(36 if split == "train" else 6, split == "test")
        ),
    )
    before = flagsaver.save_flag_values()
    try:
        parsed(["cifar10_speedrun", *arguments])
        cifar10_speedrun.main([])
    finally:
        flagsaver.restore_flag_values(before)
        parsed.unparse_flags()


@pytest.mark.slow
def test_all_seeds_of_a_speedrun_are_recorded(both_ways, tmp_path, monkeypatch, capsys):
    runs = []

    def compiled_before(run, images, labels, chunks, dispatch):
        runs.append((run, dispatch))
        return both_ways["step"][3]

    monkeypatch.setattr(cifar10_speedrun, "make_programs", compiled_before)
    output = tmp_path / "speedrun.json"
    run_main(
        monkeypatch,
        "--seeds=3",
        "--width=2",
        "--batch_size=12",
        "--epochs=4",
        "--precision=float16",
        f"--output={output}",
    )
    ((run, dispatch),) = runs
    assert (run.model.width, run.model.dtype, run.model.num_classes) == (2, jnp.float16, 10)
    assert (run.total_steps, run.whitening_steps, dispatch) == (12, 9, "auto")
    record = json.loads(output.read_text())
    assert [trial["seed"] for trial in record["trials"]] == [0, 1, 2]
    assert record["trials"][0]["loss"] == pytest.approx(float(both_ways["step"][1][-1]))
    assert record["trials"][0]["accuracy"] == int(both_ways["step"][2][1]) / 6
    accuracies = [trial["accuracy"] for trial in record["trials"]]
    assert record["summary"]["mean_accuracy"] == pytest.approx(np.mean(accuracies))
    assert record["summary"]["accuracy_deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    page = output.with_suffix(".md").read_text()
    assert "Recipe muon, float16, 36 training and 6 test images" in page
    assert "3 runs: accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs=0"], r"--epochs: 0.0 is not positive"),
        (["--train_examples=100"], r"--train_examples: 100 is more than the 36 train images"),
        (["--batch_size=50"], r"--batch_size: 50 is more than the 36 training images"),
        (["--output=runs.txt"], r"--output: runs.txt must end in .json"),
    ],
)
def test_wrong_flags_are_refused_before_any_work(monkeypatch, arguments, message):
    with pytest.raises(training.ConfigError, match=message):
        run_main(monkeypatch, *arguments)


def test_a_missing_dataset_is_reported_with_the_command_that_prepares_it(tmp_path):
    with pytest.raises(data.DataError, match=r"cnnjax prepare cifar10 --data_dir="):
        data.load_arrays(data.dataset("cifar10"), "train", str(tmp_path))


def test_a_loss_that_is_not_finite_ends_the_trials():
    class Programs:
        @staticmethod
        def train(key):
            return {}, jnp.array([1.0, jnp.nan, 2.0])

        @staticmethod
        def evaluate(variables):
            return jnp.int32(1), jnp.int32(1)

    with pytest.raises(training.TrainingDiverged, match="seed 0: the loss of step 2 of 3 is nan"):
        programs: Any = Programs
        list(trials.run_trials(programs, 1, 10, warm_up=False))
