"""Runs that meet a full disk, another network's checkpoint, or find their images gone."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import inference, recipes, training
from cnnjax.recipes.without_examples import state_like
from cnnjax.training.folder import run_folder
from cnnjax.training.folder.checkpoints import Checkpoints
from cnnjax.training.loop.trainer import Trainer
from tests.helpers import disks


def start(workdir, config):
    """Leaves the folder of a run of the configuration that has just started."""
    values = json.loads(json.dumps(config.model_dump()))
    run_folder.start_run(workdir, run_folder.RunIdentity("configuration", values, []), {})


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def parameters(workdir):
    leaves = jax.tree.leaves(inference.load(workdir).variables)
    return [np.asarray(leaf).tobytes() for leaf in leaves]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MiB."""
    with disks.small_disk(tmp_path / "disk", "8m") as folder:
        yield folder


def test_a_disk_that_fills_up_is_reported_and_the_run_goes_on_when_there_is_room(
    finished, tiny_config, train_config, small_disk, monkeypatch
):
    workdir, filler = small_disk / "run", small_disk / "filler"
    advance = Trainer.advance

    def fill(self):
        if self.step == 3 and not filler.exists():
            filler.write_bytes(bytes(shutil.disk_usage(small_disk).free))
        return advance(self)

    monkeypatch.setattr(Trainer, "advance", fill)
    with pytest.raises(
        (training.RunFolderError, training.CheckpointError), match=r"No space left on device.*again"
    ):
        train_config(tiny_config, workdir)
    assert Checkpoints(workdir / "checkpoints").newest_verified() == 2
    monkeypatch.undo()
    filler.unlink()
    train_config(tiny_config, workdir)
    assert parameters(workdir) == parameters(finished[0])


def test_a_checkpoint_of_another_network_is_reported_and_left_as_it_is(
    finished, tiny_config, train_config, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    checkpoints = Checkpoints(workdir / "checkpoints")
    state = checkpoints.restore(6, state_like(recipes.make_blueprint(tiny_config)))
    state.params["c1"]["kernel"] = jnp.zeros((3, 3, 1, 6))
    checkpoints.save(7, state, checkpoints.record(6))
    before = contents(workdir / "checkpoints")
    with pytest.raises(training.CheckpointError) as raised:
        train_config(tiny_config, workdir)
    assert "checkpoint 7 in" in str(raised.value)
    assert "params/c1/kernel is (3, 3, 1, 6) float32 there" in str(raised.value)
    assert contents(workdir / "checkpoints") == before


def test_images_that_are_gone_are_reported_before_anything_changes(train_config, tmp_path):
    images = tmp_path / "images"
    config = recipes.parse_config({"data": {"name": f"folder:{images}", "batch_size": 2}})
    start(tmp_path / "run", config)
    before = contents(tmp_path / "run")
    with pytest.raises(training.ConfigError, match=str(images)):
        train_config(config, tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_a_prepared_set_that_is_gone_is_reported_with_how_to_make_it_anew(tmp_path):
    config = recipes.parse_config({"data": {"name": "cifar10", "batch_size": 128}})
    start(tmp_path / "run", config)
    before = contents(tmp_path / "run")
    with pytest.raises(Exception, match="cnnjax prepare cifar10") as raised:
        training.fit(recipes.make_run(config, data_dir=str(tmp_path / "gone")), tmp_path / "run")
    assert type(raised.value).__name__ in ("ConfigError", "DataError")
    assert contents(tmp_path / "run") == before
