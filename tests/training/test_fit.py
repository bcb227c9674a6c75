import shutil

import jax
import numpy as np
import pytest

from cnnjax import inference, recipes, training
from cnnjax.recipes.without_examples import state_like
from cnnjax.training.folder.checkpoints import Checkpoints


def parameters(workdir):
    """Returns all parameters of the newest checkpoint as bytes."""
    leaves = jax.tree.leaves(inference.load(workdir).variables)
    return [np.asarray(leaf).tobytes() for leaf in leaves]


def test_a_run_leaves_metrics_checkpoints_and_its_configuration(finished, tiny_config):
    workdir, result = finished
    lines = training.read_metrics(workdir)
    assert [line["step"] for line in lines if line["split"] == "train"] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in lines if line["split"] == "validation"] == [2, 4, 6]
    last = lines[-1] if lines[-1]["split"] == "validation" else lines[-2]
    assert last["accuracy"] == result.metrics["accuracy"]
    assert Checkpoints(workdir / "checkpoints").steps() == [2, 4, 6]
    assert recipes.parse_config(inference.load(workdir).config) == tiny_config
    assert list((workdir / "tensorboard").iterdir())


def test_training_lowers_the_loss(finished):
    losses = [
        line["loss"] for line in training.read_metrics(finished[0]) if line["split"] == "train"
    ]
    assert losses[-1] < 0.9 * losses[0]


def test_a_resumed_run_ends_where_an_undisturbed_one_does(
    finished, tiny_config, train_config, tmp_path, caplog
):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    for step in (4, 6):
        shutil.rmtree(workdir / "checkpoints" / f"{step:08d}")
    caplog.set_level("INFO", logger="cnnjax")
    train_config(tiny_config, workdir)
    assert "resuming from the checkpoint of step 2" in caplog.text
    assert parameters(workdir) == parameters(finished[0])


def test_a_damaged_newest_checkpoint_costs_an_epoch_and_nothing_else(
    finished, tiny_config, train_config, tmp_path, caplog
):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    manifest = workdir / "checkpoints" / "00000006" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("a", "b"))
    result = train_config(tiny_config, workdir)
    assert "checkpoint 6 is damaged" in caplog.text
    assert result.step == 6
    assert parameters(workdir) == parameters(finished[0])
    assert (workdir / "checkpoints" / "damaged-00000006-0").is_dir()


def test_a_finished_run_is_evaluated_and_left_as_it_is(
    finished, tiny_config, train_config, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    before = (workdir / "metrics.jsonl").read_bytes()
    result = train_config(tiny_config, workdir)
    assert result.metrics == finished[1].metrics
    assert (workdir / "metrics.jsonl").read_bytes() == before


def test_an_extended_run_goes_on(finished, tiny_config, train_config, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    assert train_config(tiny_config, workdir, extend_to=4).step == 8
    assert Checkpoints(workdir / "checkpoints").steps() == [4, 6, 8]


def test_another_configuration_stops_before_anything_changes(
    finished, tiny_config, train_config, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    with pytest.raises(training.RunFolderError, match=r"config\.seed is 0 there, 1 was given"):
        train_config(tiny_config.model_copy(update={"seed": 1}), workdir)
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*")} == before


def test_a_loss_that_is_not_finite_stops_the_run(tiny_config, train_config, tmp_path):
    wild = recipes.parse_config(
        tiny_config.model_dump()
        | {"optimizer": {"name": "sgd", "learning_rate": 1e20, "momentum": 0.0}}
    )
    with pytest.raises(training.TrainingDiverged, match=r"lower learning rate.*optimizer\.learn"):
        train_config(wild, tmp_path / "run")


def test_another_environment_is_reported_and_goes_on(
    finished, tiny_config, train_config, tmp_path, caplog
):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    checkpoints = Checkpoints(workdir / "checkpoints")
    record = checkpoints.record(6)
    record["environment"]["versions"]["jax"] = "0.1.0"
    like = state_like(recipes.make_blueprint(tiny_config))
    checkpoints.save(6, checkpoints.restore(6, like), record)
    train_config(tiny_config, workdir)
    assert "versions.jax: 0.1.0 before" in caplog.text


@pytest.mark.parametrize("option", ["log_every", "checkpoint_every"])
def test_an_interval_of_zero_is_refused(tiny_config, train_config, tmp_path, option):
    with pytest.raises(ValueError, match=f"{option}: 0 was given; give 1 or more"):
        train_config(tiny_config, tmp_path / "run", **{option: 0})
    assert not (tmp_path / "run").exists()


def test_a_folder_of_the_old_form_is_refused_and_left_as_it_is(
    finished, tiny_config, train_config, tmp_path
):
    """It held the bare configuration."""
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    (workdir / "config.json").write_text(tiny_config.model_dump_json())
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    with pytest.raises(training.RunFolderError, match=r"form before 2.*use the version that made"):
        train_config(tiny_config, workdir)
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*")} == before
