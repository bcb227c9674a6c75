"""What happens between the steps of a run: stopping, saving inside epochs, looking inside."""

import signal
import sys

import jax
import numpy as np
import pytest

from cnnjax import recipes, training
from cnnjax.recipes.without_examples import state_like
from cnnjax.training.folder.checkpoints import Checkpoints
from cnnjax.training.loop.trainer import Trainer
from tests.helpers.metrics import timeless


def contents(workdir, step, config):
    """Returns every array of a checkpoint, as bytes."""
    checkpoints = Checkpoints(workdir / "checkpoints")
    state = checkpoints.restore(step, state_like(recipes.make_blueprint(config)))
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]


def metrics(workdir):
    """Returns all metrics but those of time."""
    return timeless(training.read_metrics(workdir))


def events(workdir, *names):
    return [e for e in training.read_events(workdir) if e["event"] in names]


@pytest.fixture
def signal_after(monkeypatch):
    """Sends a signal while a step, given by its number, is on its way."""
    advance = Trainer.advance

    def arrange(number, step):
        def interrupted(self):
            sums = advance(self)
            if self.step == step:
                signal.raise_signal(number)
            return sums

        monkeypatch.setattr(Trainer, "advance", interrupted)

    yield arrange


@pytest.mark.parametrize(
    ("number", "step"), [(signal.SIGTERM, 3), (signal.SIGINT, 6)], ids=["inside", "at the end"]
)
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    finished, tiny_config, train_config, tmp_path, monkeypatch, signal_after, number, step
):
    workdir = tmp_path / "run"
    signal_after(number, step)
    name = signal.Signals(number).name
    with pytest.raises(
        training.TrainingStopped, match=rf"stopped by {name} after step {step} of 6, which is saved"
    ):
        train_config(tiny_config, workdir)
    assert Checkpoints(workdir / "checkpoints").steps()[-1] == step
    assert events(workdir, "stopped")[0]["signal"] == name
    # The evaluation of an epoch that is done was left to the next start.
    evaluated = [line["step"] for line in metrics(workdir) if line["split"] == "validation"]
    assert evaluated == [2, 4, 6][: (step - 1) // 2]
    monkeypatch.undo()
    train_config(tiny_config, workdir)
    assert [e["step"] for e in events(workdir, "resumed", "finished")] == [step, 6]
    assert contents(workdir, 6, tiny_config) == contents(finished[0], 6, tiny_config)
    assert metrics(workdir) == metrics(finished[0])


def test_a_stop_after_the_last_evaluation_changes_nothing(
    finished, tiny_config, train_config, tmp_path, monkeypatch
):
    class Asked:
        """A request that comes with the very last line."""

        signal = "SIGTERM"
        calls = 0

        def agreed(self):
            return True

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    workdir = tmp_path / "run"
    train_config(tiny_config, workdir)
    # The package gives the module's name to its function.
    monkeypatch.setattr(sys.modules["cnnjax.training.fit"], "StopRequest", Asked)
    assert train_config(tiny_config, workdir).metrics == finished[1].metrics


def test_checkpoints_inside_epochs_know_their_position_and_resume_exactly(
    finished, tiny_config, train_config, tmp_path, monkeypatch, signal_after
):
    workdir = tmp_path / "run"
    signal_after(signal.SIGTERM, 6)
    with pytest.raises(training.TrainingStopped):
        train_config(tiny_config, workdir, checkpoint_steps=3, checkpoint_every=3)
    monkeypatch.undo()
    checkpoints = Checkpoints(workdir / "checkpoints")
    assert checkpoints.steps() == [3, 6]
    record = checkpoints.record(3)
    assert (record["epoch"], record["step_in_epoch"], record["metrics"]) == (1, 1, None)
    assert record["config"]["seed"] == tiny_config.seed
    assert record["split"] == "validation"
    (checkpoints.folder / "00000006" / "record.json").unlink()
    train_config(tiny_config, workdir)
    assert events(workdir, "resumed")[0] | {"time": ""} == {
        "time": "",
        "event": "resumed",
        "step": 3,
        "damaged": [6],
    }
    assert contents(workdir, 6, tiny_config) == contents(finished[0], 6, tiny_config)


def test_the_best_checkpoint_is_chosen_by_validation_examples_alone(finished, tiny_config):
    checkpoints = Checkpoints(finished[0] / "checkpoints")
    lines = [line for line in metrics(finished[0]) if line["split"] == "validation"]
    assert [checkpoints.record(step)["score"] for step in (2, 4, 6)] == [
        line["accuracy"] for line in lines
    ]


def test_the_test_split_chooses_nothing(tiny_config, train_config, tmp_path):
    values = tiny_config.model_dump() | {"epochs": 1}
    values["data"] |= {"validation_examples": 0, "train_examples": 128}
    train_config(recipes.parse_config(values), tmp_path / "run")
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    assert checkpoints.record(2)["score"] is None
    assert checkpoints.best() is None


def test_histograms_and_a_trace_are_written_where_requested(tiny_config, train_config, tmp_path):
    config = tiny_config.model_copy(update={"epochs": 2})
    workdir = tmp_path / "run"
    train_config(config, workdir, histograms_every=2, profile_steps="2:3")
    assert list((workdir / "profile").rglob("*.xplane.pb"))
    assert [e["step"] for e in events(workdir, "profiled")] == [3]
    (written,) = (workdir / "tensorboard").iterdir()
    content = written.read_bytes()
    for kind in ("parameters", "gradients"):
        assert content.count(f"{kind}/c1/kernel/norm".encode()) == 1


@pytest.mark.parametrize("option", ["checkpoint_steps", "histograms_every"])
def test_a_negative_interval_is_refused(tiny_config, train_config, tmp_path, option):
    with pytest.raises(training.ConfigError, match=f"{option}: -1 was given"):
        train_config(tiny_config, tmp_path / "run", **{option: -1})
    assert not (tmp_path / "run").exists()
