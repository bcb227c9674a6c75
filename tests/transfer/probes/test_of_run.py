"""Probes of a run's features, in Python and from the shell."""

import jax
import pytest

from cnnjax import recipes, training, transfer
from tests.helpers.processes import run_python

# A run is trained first.
pytestmark = pytest.mark.slow

CONFIG = {
    "model": {"name": "simple_cnn", "overrides": {"widths": (8, 16), "head": "average"}},
    "data": {"batch_size": 64, "augmentation": "shift(1)", "validation_examples": 100},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "epochs": 2,
}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, data_dir):
    """A run of a small network on the digits."""
    folder = tmp_path_factory.mktemp("probed") / "run"
    with jax.numpy_dtype_promotion("standard"):
        training.fit(recipes.make_run(CONFIG, data_dir=data_dir), folder, progress=False)
    return folder


def test_features_of_digits_hold_their_classes(workdir, data_dir, tmp_path):
    found = transfer.probe_run(
        workdir, "stage2", pooling="flatten", data_dir=data_dir, folder=tmp_path
    )
    # A fifth of 1,437 chooses the penalty; the test digits are all of them.
    assert found.counts == {"train": 1150, "validation": 287, "test": 360}
    assert found.accuracies["test"] > 0.9
    assert isinstance(found.probe, transfer.LinearProbe)
    assert found.probe.accuracies[found.probe.penalty] == found.accuracies["validation"]
    assert found.lines()[0] == ("features", "stage2, on digits")
    few = transfer.probe_run(
        workdir, "stage2", labels=20, pooling="flatten", data_dir=data_dir, folder=tmp_path
    )
    assert few.counts["train"] == 20
    assert few.accuracies["train"] >= few.accuracies["test"] < found.accuracies["test"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "stage9"}, "layer: 'stage9' is unknown; did you mean stage2"),
        ({"labels": 2000}, "labels: 2000 were requested of 1150 examples"),
        ({"labels": 5}, "labels: 5 were requested"),
        ({"pooling": "sum"}, "pooling: 'sum' is unknown"),
        ({"dataset": "digitz"}, "digits"),
    ],
)
def test_wrong_arguments_are_refused(workdir, data_dir, options, message):
    given = {"layer": "stage2", **options}
    with pytest.raises(ValueError, match=message):
        transfer.probe_run(workdir, data_dir=data_dir, **given)


def test_the_command_prints_the_accuracies(workdir, data_dir):
    given = ["-m", "experiments.probe", f"--workdir={workdir}", f"--data_dir={data_dir}"]
    done = run_python(*given, "--layer=stage2", "--hidden=16", "--labels=100")
    assert done.returncode == 0, done.stderr
    assert "hidden layers of 16" in done.stdout and "of 360" in done.stdout
    for wrong, message in (("--layer=stag2", "did you mean stage2"), ("--hidden=x", "--hidden: x")):
        done = run_python(*given, "--layer=stage2", wrong)
        assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
