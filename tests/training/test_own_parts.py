"""Each kind of part that a researcher brings trains, is evaluated, and resumes bit-identically."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import inference, training
from tests.helpers.metrics import timeless
from tests.helpers.trees import equal
from tests.training import own_parts
from tests.training.own_parts import KINDS, Interrupted, StopAt, make

EVERY_STEP = training.Cadence(log_every=1, checkpoint_steps=2)


# Half of the kinds are enough for the default tests.
RESUMED = [*KINDS[::2], *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1::2])]


@pytest.mark.parametrize("kind", RESUMED)
def test_a_run_that_broke_off_resumes_bit_identically(kind, tmp_path):
    whole = training.fit(make(kind), cadence=EVERY_STEP, progress=False)
    assert set(whole.metrics) >= {"loss", "accuracy"}
    with pytest.raises(Interrupted):
        training.fit(
            make(kind), tmp_path / "run", cadence=EVERY_STEP, callbacks=[StopAt(5)], progress=False
        )
    resumed = training.fit(make(kind), tmp_path / "run", cadence=EVERY_STEP, progress=False)
    assert equal(resumed.variables, whole.variables)
    assert resumed.metrics == whole.metrics
    assert timeless(resumed.history) == timeless(whole.history)


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_process_resumes_bit_identically(kind, tmp_path):
    whole = training.fit(make(kind), cadence=EVERY_STEP, progress=False)
    # Not as __main__, whose parts have another name.
    program = (
        f"from tests.training.own_parts import main; main({kind!r}, {str(tmp_path / 'run')!r})"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "step 5":
                process.kill()
                break
    assert process.returncode == -9
    resumed = training.fit(make(kind), tmp_path / "run", cadence=EVERY_STEP, progress=False)
    assert equal(resumed.variables, whole.variables)


def test_a_metric_of_ones_own_is_logged_and_evaluated():
    result = training.fit(make("metric"), progress=False)
    run = make("metric")
    images = jnp.asarray(own_parts.IMAGES[:20].astype(np.float64) / 255, jnp.float32)
    logits = run.model.apply(result.variables, images, train=False)
    shares = np.exp(np.asarray(logits, np.float64))
    shares /= shares.sum(axis=1, keepdims=True)
    truth = np.eye(3)[own_parts.LABELS[:20]]
    expected = np.square(shares - truth).sum(axis=1).mean()
    assert result.metrics["brier"] == pytest.approx(expected, rel=1e-5)


def test_callbacks_see_logs_evaluations_and_checkpoints(tmp_path):
    seen = []

    class Note(training.Callback):
        def on_log(self, step, metrics):
            seen.append(("log", step))

        def on_evaluation(self, step, metrics):
            seen.append(("evaluation", step))

        def on_checkpoint(self, step, folder):
            assert folder.is_dir()
            seen.append(("checkpoint", step))

    training.fit(
        make("callback"),
        tmp_path / "run",
        cadence=training.Cadence(log_every=2),
        callbacks=[Note()],
        progress=False,
    )
    # 48 examples in batches of 16 are three steps an epoch.
    assert [what for what in seen if what[0] == "evaluation"] == [
        ("evaluation", step) for step in (3, 6, 9)
    ]
    assert [step for kind, step in seen if kind == "checkpoint"] == [3, 6, 9]
    assert {step for kind, step in seen if kind == "log"} >= {2, 4, 6, 8}


def test_a_folder_refuses_another_run(tmp_path):
    training.fit(make("arrays"), tmp_path / "run", progress=False)
    with pytest.raises(training.RunFolderError, match=r"run\.task\.loss_function is 'softmax'"):
        training.fit(make("loss"), tmp_path / "run", progress=False)
    changed = make("arrays").replace(seed=1)
    with pytest.raises(training.RunFolderError, match=r"run\.seed is 0 there, 1"):
        training.fit(changed, tmp_path / "run", progress=False)


def test_a_network_of_ones_own_is_read_back_with_its_run(tmp_path):
    run = make("network")
    result = training.fit(run, tmp_path / "run", progress=False)
    with pytest.raises(training.ConfigError, match=r"made in Python; give it, inference\.load"):
        inference.load(tmp_path / "run")
    network = inference.load(tmp_path / "run", run=run)
    assert network.step == 9
    assert equal(network.variables, result.variables)
    assert network.evaluate() == result.metrics
    assert np.asarray(network.predict(own_parts.IMAGES[:2])).shape == (2, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs: 0 was given"),
        ({"model": "resnet18"}, r"model: str was given; give a flax\.linen module"),
        ({"task": "classification"}, r"task: str was given; give a task"),
        ({"train": own_parts.IMAGES}, r"train: ndarray was given; give examples"),
        ({"batch_size": 64}, "64 does not fit the 48 training examples"),
        ({"accumulate": 3}, "a batch of 16 cannot be cut into 3 equal parts"),
        ({"ema_decay": 1.0}, "ema_decay: 1.0 was given"),
        ({"augmentation": "crp(1)"}, "unknown augmentation 'crp'; did you mean crop"),
        ({"frozen": ("nowhere/.*",)}, "nowhere"),
    ],
)
def test_what_makes_no_run_is_refused_before_any_work(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        training.fit(make("arrays").replace(**changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
