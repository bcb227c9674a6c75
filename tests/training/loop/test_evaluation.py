"""Evaluation counts every example exactly once, on any batch size and number of devices."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec
from PIL import Image

from cnnjax import data, inference, training
from cnnjax.tasks import Classification
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import make_placement
from cnnjax.training.loop.evaluation import add_up, make_evaluator, one_device, placed_batches


def placement_of(mode, devices):
    if mode is None:
        return one_device()
    return make_placement(Parallel(mode, mesh=f"data:{devices}"), {}, devices)


def evaluation_of(placement, sums):
    """A compiled evaluation that has sums alone."""
    return placement.compile_evaluation(lambda batch: (sums(batch), {}))


def numbered(count):
    """Examples whose label is their position, and whose only pixel has it too."""
    positions = np.arange(count, dtype=np.int32)
    return data.from_arrays(image=positions.astype(np.uint8).reshape(-1, 1, 1, 1), label=positions)


@pytest.mark.parametrize(("mode", "devices"), [(None, 1), ("jit", 2), ("jit", 8), ("pmap", 4)])
@pytest.mark.parametrize(("count", "batch_size"), [(1, 512), (23, 5), (24, 8), (23, 23), (9, 1)])
def test_every_example_counts_once(count, batch_size, mode, devices):
    placement = placement_of(mode, devices)

    def sums(batch):
        seen = jnp.zeros(count).at[batch["label"]].add(batch["weight"])
        by_pixel = jnp.zeros(count).at[batch["image"].ravel()].add(batch["weight"])
        return {"seen": seen, "by_pixel": by_pixel, "places": jnp.ones_like(batch["weight"]).sum()}

    batches = list(placed_batches(numbered(count), batch_size, placement))
    total, _ = add_up(map(evaluation_of(placement, sums), batches))
    np.testing.assert_array_equal(total["seen"], np.ones(count))
    np.testing.assert_array_equal(total["by_pixel"], np.ones(count))
    # Batches of one size, the smallest one that all devices can share.
    size = -(-min(batch_size, count) // devices) * devices
    assert total["places"] == size * len(batches) == -(-count // size) * size
    if mode == "jit":
        assert batches[0]["image"].sharding.spec == PartitionSpec("data")
        assert len(batches[0]["image"].addressable_shards) == devices


def test_streamed_images_count_once_and_damaged_ones_not_at_all(tmp_path, caplog):
    for place in range(11):
        folder = tmp_path / "train" / f"class {place % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 7, 3), place, np.uint8)).save(folder / f"{place:02d}.png")
    (tmp_path / "train" / "class 0" / "10.png").write_bytes(b"no image")
    dataset = data.dataset(f"folder:{tmp_path}")
    examples = data.load_examples(dataset, "train", framing=data.Framing(8, 8))

    def sums(batch):
        values = batch["image"][:, 0, 0, 0].astype(jnp.int32)
        return {"seen": jnp.zeros(256).at[values].add(batch["weight"])}

    placement = placement_of("jit", 2)
    batches = placed_batches(examples, 5, placement)
    seen = add_up(map(evaluation_of(placement, sums), batches))[0]["seen"]
    np.testing.assert_array_equal(seen[:10], np.ones(10))
    assert seen.sum() == 10
    assert "1 images could not be read and do not count" in caplog.text


@pytest.mark.parametrize(
    ("loss", "unit"),
    [("softmax", "nats"), ("sigmoid", "nats"), ("hinge", ""), ("squared", "")],
)
def test_the_unit_of_the_loss_is_its_own(loss, unit):
    task = Classification(("a", "b"), loss_function=loss)
    metrics = {"loss": 1.25, "accuracy": 0.5, "top5_error": 0.0}
    lines = training.format_lines(task.lines("test", metrics)).splitlines()
    assert lines[2].split() == ["loss", "1.2500", *unit.split()]
    assert lines[2] == lines[2].rstrip()


def test_nothing_to_evaluate_is_refused():
    with pytest.raises(ValueError, match="there are no examples"):
        add_up([])


def test_sums_are_added_in_float64():
    ones: list[Any] = [({"n": np.float32(2**24)}, {}), ({"n": np.float32(1)}, {})]
    total, rows = add_up(ones)
    assert total["n"] == 2**24 + 1
    assert rows is None


@pytest.mark.parametrize(("mode", "devices"), [(None, 1), ("jit", 8), ("pmap", 4)])
def test_training_evaluates_the_same_on_any_batch_size_and_devices(
    finished, data_dir, mode, devices
):
    workdir, result = finished
    network = inference.load(workdir, data_dir=data_dir)
    placement = placement_of(mode, devices)
    parts = network.model, network.task, network.preprocess, network.examples
    evaluate: Any = make_evaluator(*parts, 100, placement=placement)
    found = evaluate(placement.replicate(network.variables))
    assert found["accuracy"] == result.metrics["accuracy"]
    assert found["top5_error"] == pytest.approx(result.metrics["top5_error"], abs=1e-12)
    assert found["loss"] == pytest.approx(result.metrics["loss"], rel=1e-5)


def test_assessment_is_the_same_on_any_batch_size_and_devices(finished, data_dir):
    ensemble = inference.load_ensemble([finished[0]], data_dir=data_dir)
    alone = ensemble.assess(placement=one_device())
    shared = ensemble.assess(batch_size=99)
    assert alone.details["examples"] == 1309
    np.testing.assert_array_equal(alone.details["confusion"], shared.details["confusion"])
    assert shared.metrics == pytest.approx(dict(alone.metrics), rel=1e-5)
    assert alone.metrics["accuracy"] == finished[1].metrics["accuracy"]
    assert alone.metrics["nll"] == pytest.approx(finished[1].metrics["loss"], rel=1e-6)
    # The same from the log-probabilities of each image.
    network = ensemble.members[0]
    predicted = network.predict(network.examples.column("image"))
    own = predicted[np.arange(1309), network.examples.column("label")]
    assert alone.metrics["nll"] == pytest.approx(-own.astype(np.float64).mean(), rel=1e-5)


def test_a_long_name_is_not_run_into_its_text():
    lines = training.format_lines([("validation localization accuracy", "96.2%"), ("step", "7")])
    assert lines.splitlines() == [
        "validation localization accuracy  96.2%",
        "step                              7",
    ]
