"""Runs in which all images of a step, or of the evaluated split, cannot be read."""

import flax.linen as linen
import jax
import numpy as np
import optax
import pytest

from cnnjax import data, inference, nn, recipes, reports, tasks, training
from cnnjax.training.devices.placement import make_placement
from cnnjax.training.folder.checkpoints import Checkpoints
from cnnjax.training.loop.batches import Batches
from cnnjax.training.loop.trainer import Trainer
from tests.helpers.photographs import write_photographs

READ = data.ReadOptions(workers=data.Workers(threads=1))


def configure(folder, batch_size, model="lenet5"):
    return recipes.parse_config(
        {
            "data": {
                "name": f"folder:{folder}",
                "resize": 20,
                "crop": 16,
                "crop_areas": (0.3, 1.0),
                "batch_size": batch_size,
            },
            "model": {"name": model},
            "epochs": 1,
        }
    )


@pytest.fixture(scope="module")
def empty_test(tmp_path_factory, train_config):
    """A run whose test images are all empty files."""
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder)
    for path in (folder / "test").rglob("*.jpg"):
        path.write_bytes(b"")
    config = configure(folder, 8)
    with jax.numpy_dtype_promotion("standard"):
        return folder / "run", config, train_config(config, folder / "run", read=READ)


def test_an_unreadable_batch_of_one_image_has_no_metrics(tmp_path, train_config):
    write_photographs(tmp_path)
    for path in (tmp_path / "train").rglob("00[1-9].jpg"):
        path.unlink()
    (tmp_path / "train" / "bees" / "000.jpg").write_bytes(b"")
    result = train_config(configure(tmp_path, 1), tmp_path / "run", read=READ)
    lines = [line for line in training.read_metrics(tmp_path / "run") if line["split"] == "train"]
    assert len(lines) == 3
    (unread,) = [line for line in lines if "loss" not in line]
    assert "accuracy" not in unread and unread["images_per_second"] > 0
    assert [line for line in result.history if line["split"] == "train"] == lines
    assert reports.write_report(tmp_path / "run", read=READ).is_file()


class Gone(data.Examples):
    """Images of 4 x 4 pixels, some of which cannot be read."""

    def __init__(self):
        pixels = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1), np.uint8)
        self.whole = data.from_arrays(image=pixels, label=np.arange(8, dtype=np.int32) % 2)
        self.spec = self.whole.spec
        self.positions = set()

    def __len__(self):
        return len(self.whole)

    def identity(self):
        return self.whole.identity()

    def read(self, position, generator=None):
        if position in self.positions:
            raise data.DamagedImage("gone")
        return self.whole.read(position)


class Normalized(linen.Module):
    """A linear network behind batch norm."""

    @linen.compact
    def __call__(self, x, *, train=False):
        x = nn.BatchNorm(use_running_average=not train)(x)
        return linen.Dense(2)(x.reshape(len(x), -1))


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("mode", [None, "jit", "pmap"])
def test_a_step_without_an_example_leaves_the_state_to_the_bit(mode, accumulate):
    examples = Gone()
    run = training.Run(
        model=Normalized(),
        task=tasks.Classification(("a", "b")),
        train=data.Stream(examples, 4),
        test=None,
        optimizer=optax.chain(
            optax.add_decayed_weights(0.1), optax.sgd(0.1, 0.9), optax.contrib.reduce_on_plateau()
        ),
        epochs=1,
        ema_decay=0.5,
        accumulate=accumulate,
    )
    examples.positions = set(np.asarray(data.positions_at(run.orders["train"], 1)).tolist())
    state = run.init_state()
    parallel = training.Parallel(mode, mode and "data:2")
    trainer = Trainer(run, state, make_placement(parallel, state.params, 4), READ)
    for counted in (4, 0):
        before = jax.tree.map(np.array, trainer.host_state())
        assert trainer.advance().counted == counted
        after = trainer.host_state()
        assert after.step == before.step + 1
        same = jax.tree.map(np.array_equal, before.replace(step=after.step), after)
        unchanged = [all(jax.tree.leaves(part)) for part in (same.params, same.collections)]
        assert unchanged == [not counted] * 2 and (counted or all(jax.tree.leaves(same)))
    trainer.close()


@pytest.mark.parametrize("label", [-1, 2])
def test_a_read_label_without_a_class_is_named(label):
    examples = Gone()
    labels = np.where(np.arange(8) < 7, 0, label).astype(np.int32)
    examples.whole = data.from_arrays(image=examples.whole.arrays["image"], label=labels)
    run = training.Run(
        model=Normalized(),
        task=tasks.Classification(("a", "b")),
        train=data.Stream(examples, 4),
        test=None,
        optimizer=optax.sgd(0.1),
        epochs=1,
    )
    with pytest.raises(training.ConfigError, match=f"labels from .*{label}.* for 2 classes"):
        training.fit(run, progress=False)


def test_steps_that_cannot_be_empty_are_as_they_were():
    def may_be_empty(size, **options):
        run = training.Run(
            model=Normalized(),
            task=tasks.Classification(("a", "b")),
            train=data.Stream(Gone(), size),
            test=None,
            optimizer=optax.sgd(0.1),
            epochs=1,
        )
        placement = make_placement(training.Parallel(), run.init_state().params, size)
        return Batches(run, placement, data.ReadOptions(**options)).may_be_empty

    assert may_be_empty(8) and may_be_empty(4, max_damaged=4)
    assert not may_be_empty(4, max_damaged=3) and not may_be_empty(4, max_damaged=0)


def test_a_split_that_cannot_be_read_is_not_evaluated(empty_test, train_config):
    workdir, config, result = empty_test
    assert (result.step, result.metrics, result.lines) == (3, {}, [])
    assert result.summary().startswith("step")
    assert {line["split"] for line in training.read_metrics(workdir)} == {"train"}
    assert Checkpoints(workdir / "checkpoints").record(3)["metrics"] == {}
    again = train_config(config, workdir, read=READ)
    assert (again.step, again.metrics) == (3, {})


def test_a_network_is_not_evaluated_on_a_split_that_cannot_be_read(empty_test):
    network = inference.load(empty_test[0], read=READ)
    message = "none of the 7 examples can be read"
    for evaluate in (network.evaluate, network.evaluated, inference.Ensemble([network]).assess):
        with pytest.raises(data.DamagedImages, match=message):
            evaluate()
    with pytest.raises(data.DamagedImages, match=message):
        reports.write_report(empty_test[0], read=READ)
