"""Whole runs on several devices: saved on some, resumed on others, recorded in the run's folder."""

import shutil

import jax
import numpy as np
import pytest

from cnnjax import inference, recipes, training
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.folder import run_folder

ONE = Parallel()
SHARDED = Parallel("jit", "data:2,model:2", (".*kernel=-1", ".*=replicated"))
PMAP = Parallel("pmap", "data:4")


@pytest.fixture(scope="module")
def config():
    """Two steps an epoch, two epochs; 101 images to evaluate fill no batch evenly."""
    return recipes.parse_config(
        {
            "model": {"name": "resnet8_cifar", "overrides": {"blocks": (1,), "widths": (8,)}},
            "data": {
                "batch_size": 32,
                "augmentation": "shift(1)",
                "train_examples": 64,
                "validation_examples": 101,
            },
            "optimizer": {"name": "sgd", "learning_rate": 0.05},
            "epochs": 2,
        }
    )


@pytest.fixture(scope="module")
def whole(config, train_config, tmp_path_factory):
    """The folder of a finished run on a mesh of two by two, and its result."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    with jax.numpy_dtype_promotion("standard"):
        return workdir, train_config(config, workdir, parallel=SHARDED)


def variables(workdir):
    return jax.tree.leaves(inference.load(workdir).variables)


@pytest.mark.parametrize("parallel", [ONE, PMAP], ids=["one", "pmap"])
def test_a_run_goes_on_in_another_layout_with_the_same_numbers(
    whole, config, train_config, tmp_path, caplog, parallel
):
    workdir = tmp_path / "run"
    shutil.copytree(whole[0], workdir)
    shutil.rmtree(workdir / "checkpoints" / "00000004")
    result = train_config(config, workdir, parallel=parallel)
    assert result.step == 4
    assert "layout.mesh.model: 2 before, 1 now" in caplog.text
    for ours, theirs in zip(variables(workdir), variables(whole[0]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5)
    assert result.metrics["accuracy"] == whole[1].metrics["accuracy"]
    assert abs(result.metrics["loss"] - whole[1].metrics["loss"]) < 1e-4
    lines = {(m["step"], m["split"]): m["loss"] for m in training.read_metrics(workdir)}
    for line in training.read_metrics(whole[0]):
        assert abs(lines[line["step"], line["split"]] - line["loss"]) < 1e-4


def test_the_folder_records_devices_and_bytes(whole):
    facts = run_folder.read_run_facts(whole[0])["layout"]
    assert facts["mesh"] == {"data": 2, "model": 2}
    assert facts["parallel"] == "jit" and facts["processes"] == 1 and len(facts["devices"]) == 4
    # All kernels, nearly all of the parameters, are halved; 4 bytes each.
    assert facts["parameter_bytes"] == 4 * sum(v.size for v in parameters(whole[0]))
    kernels = 4 * sum(v.size for v in parameters(whole[0]) if v.ndim > 1)
    assert facts["parameter_bytes_per_device"] == facts["parameter_bytes"] - kernels // 2


def parameters(workdir):
    return jax.tree.leaves(inference.load(workdir).variables["params"])


@pytest.mark.parametrize(
    ("parallel", "message"),
    [
        (Parallel("jit", "data:5"), "32 examples cannot be spread evenly over 5 devices"),
        (Parallel("jit", "data:2,model:2", ("conv.*=-1",)), "match none of the patterns"),
    ],
)
def test_a_layout_is_refused_before_any_work(config, train_config, tmp_path, parallel, message):
    with pytest.raises(training.ConfigError, match=message):
        train_config(config, tmp_path / "run", parallel=parallel)
    assert not (tmp_path / "run").exists()
