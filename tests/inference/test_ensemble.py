"""Joined networks: their probabilities are averaged; networks that do not fit are refused."""

import dataclasses
import shutil

import numpy as np
import pytest
from PIL import Image

from cnnjax import data, inference, recipes, training
from cnnjax.inference import Ensemble, Network, Views, load_ensemble
from cnnjax.inference.images import ImageForm
from cnnjax.tasks import Classification, Task
from tests.helpers.records import change_identity


@pytest.fixture(scope="module")
def other(finished, tmp_path_factory):
    """A run of another configuration that holds the same network's checkpoints."""
    workdir = tmp_path_factory.mktemp("other") / "run"
    shutil.copytree(finished[0], workdir)
    return workdir


def test_probabilities_of_checkpoints_are_averaged(finished, data_dir):
    ensemble = load_ensemble([finished[0]], steps=[2, 6], data_dir=data_dir)
    networks = [inference.load(finished[0], step, data_dir=data_dir) for step in (2, 6)]
    images = networks[0].examples.column("image")[:50]
    expected = np.mean([np.exp(network.predict(images)) for network in networks], axis=0)
    np.testing.assert_allclose(np.exp(ensemble.predict(images)), expected, rtol=1e-4, atol=1e-7)
    assert [member["step"] for member in ensemble.describe()] == [2, 6]


def test_the_last_checkpoints_of_several_runs(finished, other, data_dir):
    ensemble = load_ensemble([finished[0], other], last=2, data_dir=data_dir)
    assert [m.step for m in ensemble.members] == [4, 6, 4, 6]
    assert [m.workdir for m in ensemble.members] == [finished[0]] * 2 + [other] * 2
    # The same networks twice: the mean is that of one run.
    images = ensemble.members[0].examples.column("image")[:20]
    once = load_ensemble([finished[0]], last=2, data_dir=data_dir)
    np.testing.assert_allclose(ensemble.predict(images), once.predict(images), rtol=1e-5, atol=1e-6)


def test_each_image_counts_once_whatever_is_shown_of_it(finished, data_dir):
    ensemble = load_ensemble([finished[0]], last=2, views=Views("ten"), data_dir=data_dir)
    evaluation = ensemble.assess(batch_size=500)
    network = ensemble.members[0]
    totals = [row["examples"] for row in evaluation.details["classes"]]
    assert totals == np.bincount(network.examples.column("label"), minlength=10).tolist()
    images = network.examples.column("image")[:64]
    found = np.exp(ensemble.predict(images, batch_size=64))
    assert np.abs(found - np.exp(network.predict(images))).max() > 1e-3


def test_dense_views_move_the_network(finished, data_dir):
    dense = load_ensemble([finished[0]], views=Views("dense", scales=(24,)), data_dir=data_dir)
    whole = load_ensemble([finished[0]], views=Views("dense"), data_dir=data_dir)
    network = whole.members[0]
    images = network.examples.column("image")[:16]
    plain = np.exp(network.predict(images))
    np.testing.assert_allclose(np.exp(whole.predict(images)), plain, rtol=1e-4, atol=1e-6)
    assert np.abs(np.exp(dense.predict(images)) - plain).max() > 1e-3


def test_photographs_are_framed_as_large_as_the_largest_view(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for place in range(4):
            folder = tmp_path / split / "ab"[place % 2]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{place}.png")
    values = {"name": f"folder:{tmp_path}", "batch_size": 2, "resize": 20, "crop": 16}
    network = untrained({"model": {"name": "lenet5"}, "data": values})
    whole = Ensemble((network,))
    assert whole.form == ((16, 16, 3), data.Framing(20, 16))
    # Of an image whose shorter side is resized to 20, the central 16x16: what evaluation shows.
    center = Ensemble((network,), Views("center", scales=(20,)))
    assert center.form == ((20, 20, 3), data.Framing(20, 20))
    evaluations = [ensemble.assess() for ensemble in (whole, center)]
    assert [e.details["examples"] for e in evaluations] == [4, 4]
    losses = [e.metrics["nll"] for e in evaluations]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    other = dataclasses.replace(
        network,
        model=network.model.clone(),
        form=ImageForm(network.form.shape, data.Framing(16, 16)),
    )
    with pytest.raises(training.ConfigError, match="see other parts of a photograph"):
        Ensemble((network, other))


def untrained(values):
    """Returns the network of a configuration before its first step."""
    blueprint, run = recipes.make_blueprint(values), recipes.make_run(values)
    return Network(
        model=run.model,
        task=run.task,
        variables=run.init_state().eval_variables,
        preprocess=run.preprocess,
        form=ImageForm(blueprint.stored_shape, blueprint.framing),
        title=run.names,
        origin="nowhere",
        load_examples=lambda framing: recipes.load_evaluated(blueprint, framing=framing),
    )


def test_runs_of_other_classes_or_images_are_refused(finished, other, data_dir, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(other, workdir)
    change_identity(workdir, lambda run: run["data"].update(validation_examples=1300))
    with pytest.raises(training.ConfigError, match=r"the same images: .*1309\} and .*1300\}"):
        load_ensemble([finished[0], workdir], data_dir=data_dir)
    network, same = (inference.load(finished[0], data_dir=data_dir) for _ in range(2))
    lettered = dataclasses.replace(same, task=Classification(tuple("abcdefghij")))
    with pytest.raises(training.ConfigError, match=r"0, 1, 2, … \(10\) and .* a, b, c, … \(10\)"):
        Ensemble((network, lettered))
    with pytest.raises(training.ConfigError, match=r"same task and classes: Classification .*T"):
        Ensemble((network, dataclasses.replace(same, task=Task())))


def test_a_task_whose_predictions_cannot_be_joined_has_one_network_and_one_view(finished, data_dir):
    network = inference.load(finished[0], data_dir=data_dir)
    alone = dataclasses.replace(network, task=Task())
    assert Ensemble((alone,)).is_plain
    for members, views in (((alone, alone), Views()), ((alone,), Views(flip=True))):
        with pytest.raises(training.ConfigError, match="Task: its predictions cannot be joined"):
            Ensemble(members, views)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": [2], "last": 1}, "give one"),
        ({"steps": [2, 2]}, "given twice among"),
        ({"last": 0}, "give 1 or more"),
    ],
)
def test_arguments_that_exclude_each_other_are_refused(finished, options, message):
    with pytest.raises(training.ConfigError, match=message):
        load_ensemble([finished[0]], **options)


def test_missing_runs_and_checkpoints_are_named(finished):
    with pytest.raises(training.ConfigError, match="none was given"):
        load_ensemble([])
    with pytest.raises(training.ConfigError, match="given twice among"):
        load_ensemble([finished[0], finished[0]])
    with pytest.raises(training.CheckpointError, match=r"4 was given, but .* has 3 checkpoints"):
        load_ensemble([finished[0]], last=4)


def test_an_ensemble_needs_a_network():
    with pytest.raises(
        training.ConfigError, match="members: none were given; give one network or more"
    ):
        Ensemble(())


def test_a_tree_of_the_classes_is_given_for_the_evaluation(finished, data_dir, tmp_path):
    ensemble = load_ensemble([finished[0]], data_dir=data_dir)
    path = tmp_path / "digits.txt"
    # Even and odd digits, so that a mistake costs one or two levels.
    lines = [f"{digit}\t{('even', 'odd')[digit % 2]}\n" for digit in range(10)]
    path.write_text("".join(lines) + "odd\tdigit\n")
    with pytest.raises(training.ConfigError, match="2 nodes have no parent"):
        inference.with_task(ensemble, class_tree=str(path))
    path.write_text(path.read_text() + "even\tdigit\n")
    with_tree = inference.with_task(ensemble, class_tree=str(path))
    found = with_tree.assess(batch_size=77)
    confusion = np.array(found.details["confusion"])
    digit = np.arange(10)
    costs = np.where(digit[:, None] % 2 == digit % 2, 1, 2) * (digit[:, None] != digit)
    expected = (confusion * costs).sum() / (2 * confusion.sum())
    assert found.metrics["hierarchical_error"] == pytest.approx(expected, rel=1e-12)
    plain = ensemble.assess()
    assert "hierarchical_error" not in plain.metrics
    assert found.metrics["accuracy"] == plain.metrics["accuracy"]
    own = with_tree.members[0].evaluate(batch_size=50)
    assert own["hierarchical_error"] == pytest.approx(expected, rel=1e-6)
    with pytest.raises(
        training.ConfigError, match=r"Classification has no such setting.*class_tree"
    ):
        inference.with_task(ensemble, tree=str(path))
