import contextlib
import json
import resource

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax.training.errors import CheckpointError
from cnnjax.training.folder import checkpoints as checkpoints_module
from cnnjax.training.folder.checkpoints import Checkpoints, StateNotFinite
from cnnjax.training.step.state import TrainState, create_state
from tests.helpers import disks


def state_at(value):
    params = {"c1": {"kernel": jnp.full((3, 4), value), "bias": jnp.zeros(4)}}
    optimizer = optax.chain(optax.add_decayed_weights(0.1), optax.adam(0.1))
    return TrainState(
        jnp.int32(value), params, {"batch_stats": {"mean": jnp.ones(4)}}, optimizer.init(params)
    )


@pytest.fixture
def checkpoints(tmp_path):
    made = Checkpoints(tmp_path / "checkpoints", keep=2)
    for step in (1, 2):
        made.save(step, state_at(step), {"number": step})
    return made


def damage(checkpoints, step):
    """Flips one bit in the largest file of a checkpoint."""
    files = [p for p in (checkpoints.folder / f"{step:08d}" / "arrays").rglob("*") if p.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


def test_what_was_saved_comes_back(checkpoints):
    restored = checkpoints.restore(2, state_at(0))
    assert int(restored.step) == 2
    np.testing.assert_array_equal(restored.params["c1"]["kernel"], np.full((3, 4), 2.0))
    assert type(restored.opt_state) is type(state_at(0).opt_state)
    assert checkpoints.record(2)["number"] == 2


def test_only_the_newest_are_kept(checkpoints):
    checkpoints.save(3, state_at(3), {})
    assert checkpoints.steps() == [2, 3]


def test_a_flipped_bit_is_noticed_and_the_one_before_is_taken(checkpoints, caplog):
    damage(checkpoints, 2)
    assert checkpoints.newest_verified(move_damaged=False) == 1
    assert "checkpoint 2 is damaged" in caplog.text
    assert checkpoints.steps() == [1, 2]


def test_the_best_of_validation_is_kept_besides_the_newest(tmp_path):
    made = Checkpoints(tmp_path / "checkpoints", keep=2)
    for step, score in enumerate((0.5, 0.9, 0.9, 0.7, None, 0.8), 1):
        made.save(step, state_at(step), {}, score)
    assert made.best() == 2  # of equal ones the first
    assert made.steps() == [2, 5, 6]
    damage(made, 2)
    assert made.best() == 6


def test_without_scores_there_is_no_best(checkpoints):
    assert checkpoints.best() is None


def test_nothing_that_is_not_finite_is_saved(checkpoints):
    state = state_at(3)
    state.params["c1"]["bias"] = jnp.array([0.0, jnp.nan, 0.0, 0.0])
    with pytest.raises(StateNotFinite, match="after step 3 is not finite: params/c1/bias"):
        checkpoints.save(3, state, {})
    assert checkpoints.steps() == [1, 2]


def test_bookkeeping_that_starts_at_infinity_is_saved(checkpoints):
    optimizer = optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau())
    state = state_at(3)
    state = state.replace(opt_state=optimizer.init(state.params))
    checkpoints.save(3, state, {})
    assert checkpoints.problem(3) is None


def test_averages_and_loss_scale_come_back(checkpoints):
    state = create_state(
        {"params": state_at(3).params}, optax.sgd(0.1), ema=True, loss_scaling=True
    )
    assert state.ema is not None
    state.ema["params"]["c1"]["kernel"] = jnp.full((3, 4), 7.0)
    checkpoints.save(3, state, {})
    restored = checkpoints.restore(3, jax.eval_shape(lambda: state))
    same = jax.tree.map(np.array_equal, state, restored)
    assert jax.tree.structure(state) == jax.tree.structure(restored)
    assert all(jax.tree.leaves(same))


@contextlib.contextmanager
def file_size_limit(size):
    """No process without special rights can go past it, as with a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 300 KiB."""
    with disks.small_disk(tmp_path / "disk", "300k") as folder:
        yield folder


def large_state():
    return {"params": jax.random.normal(jax.random.key(0), (100_000,))}


def test_a_full_disk_is_reported_and_leaves_the_last_good_checkpoint(tiny_disk, capfd):
    made = Checkpoints(tiny_disk / "checkpoints")
    made.save(1, {"params": jnp.ones(10)}, {})
    with pytest.raises(
        CheckpointError,
        match=r"checkpoint 2 cannot be written to .*: No space left on device; the last good "
        "checkpoint is that of step 1",
    ):
        made.save(2, large_state(), {})
    assert "Traceback" not in capfd.readouterr().err
    assert [path.name for path in made.folder.iterdir()] == ["00000001"]
    assert made.newest_verified(move_damaged=True) == 1
    made.save(2, {"params": jnp.ones(10)}, {})  # when there is room again
    assert made.steps() == [1, 2]


def test_a_file_that_cannot_be_written_whole_is_no_checkpoint(checkpoints):
    with (
        file_size_limit(100_000),
        pytest.raises(CheckpointError, match=r"File too large; the last good .* step 2"),
    ):
        checkpoints.save(3, large_state(), {})
    assert checkpoints.newest_verified(move_damaged=True) == 2


def test_nothing_is_pruned_when_what_was_written_cannot_be_read_back(checkpoints, monkeypatch):
    flush = checkpoints_module.flush_tree

    def lose_a_bit(folder):
        flush(folder)
        record = folder / "record.json"
        record.write_bytes(record.read_bytes()[:-1] + b"!")

    monkeypatch.setattr(checkpoints_module, "flush_tree", lose_a_bit)
    with pytest.raises(CheckpointError, match=r"not read back .* step 2"):
        checkpoints.save(3, state_at(3), {})
    assert checkpoints.steps() == [1, 2]


def test_a_truncated_array_is_damage(checkpoints):
    files = [p for p in (checkpoints.folder / "00000002" / "arrays").rglob("*") if p.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-7])
    assert "is missing or changed" in checkpoints.problem(2)


def test_a_damaged_checkpoint_is_moved_aside_so_that_its_step_can_be_saved(checkpoints):
    damage(checkpoints, 2)
    assert checkpoints.newest_verified(move_damaged=True) == 1
    assert (checkpoints.folder / "damaged-00000002-0").is_dir()
    checkpoints.save(2, state_at(2), {})
    assert checkpoints.steps() == [1, 2]
    assert checkpoints.newest_verified(move_damaged=True) == 2


@pytest.mark.parametrize("missing", ["manifest.json", "record.json"])
def test_a_missing_file_is_damage(checkpoints, missing):
    (checkpoints.folder / "00000002" / missing).unlink()
    assert checkpoints.newest_verified(move_damaged=False) == 1


def test_a_truncated_manifest_is_damage(checkpoints):
    manifest = checkpoints.folder / "00000002" / "manifest.json"
    manifest.write_text(manifest.read_text()[:-20])
    assert "manifest cannot be read" in checkpoints.problem(2)


def test_nothing_is_moved_or_restored_when_all_are_damaged(checkpoints):
    for step in (1, 2):
        damage(checkpoints, step)
    with pytest.raises(CheckpointError, match=r"every checkpoint .* is damaged \(steps \[2, 1\]\)"):
        checkpoints.newest_verified(move_damaged=True)
    assert checkpoints.steps() == [1, 2]


def test_half_a_checkpoint_is_no_checkpoint(checkpoints):
    left_behind = checkpoints.folder / "incoming-00000003"
    left_behind.mkdir()
    (left_behind / "record.json").write_text("{}")
    assert checkpoints.newest_verified(move_damaged=True) == 2
    checkpoints.save(3, state_at(3), {})
    assert checkpoints.problem(3) is None
    assert not left_behind.exists()


def test_a_checkpoint_of_another_network_is_refused(checkpoints):
    other = state_at(0)
    other.params["c1"]["kernel"] = jnp.zeros((5, 4))
    with pytest.raises(CheckpointError, match=r"params/c1/kernel is \(3, 4\) .* \(5, 4\)"):
        checkpoints.restore(2, other)


def test_no_folder_means_no_checkpoint(tmp_path):
    empty = Checkpoints(tmp_path / "none")
    assert empty.newest_verified(move_damaged=True) is None
    assert empty.steps() == []


def test_keeping_fewer_than_two_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep: 1 checkpoints; keep at least 2"):
        Checkpoints(tmp_path, keep=1)


def test_the_manifest_names_every_file(checkpoints):
    folder = checkpoints.folder / "00000001"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(json.loads((folder / "manifest.json").read_text())) == names - {"manifest.json"}
