"""How members of an ensemble differ, against counts in NumPy; FractalNet's columns."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import data, inference, models, nn, tasks, training
from cnnjax.inference.images import ImageForm

NAMES = ("a", "b", "c")


def drawn(members=3, images=40):
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(members, images, 3))
    log = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return log.astype(np.float32), rng.integers(0, 3, images)


def test_figures_are_the_counts():
    predictions, labels = drawn()
    found = inference.diversity(predictions, labels, NAMES, ["x", "y", "z"])
    best = predictions.argmax(axis=-1)
    wrong = best != labels
    pairs = [(0, 1), (0, 2), (1, 2)]
    assert [each.error for each in found.members] == pytest.approx(list(wrong.mean(axis=1)))
    assert found.disagreement == pytest.approx(
        np.mean([(best[i] != best[j]).mean() for i, j in pairs])
    )
    both = sum((wrong[i] & wrong[j]).sum() for i, j in pairs)
    alike = sum((wrong[i] & wrong[j] & (best[i] == best[j])).sum() for i, j in pairs)
    assert found.both_wrong == pytest.approx(both / 120)
    assert found.same_mistake == pytest.approx(alike / both)
    p = np.exp(predictions.astype(np.float64))
    mean = p.mean(axis=0)
    divergence = (p * np.log(p / mean)).sum(axis=-1).mean()
    assert found.divergence == pytest.approx(divergence, rel=1e-4)
    geometric = np.exp(np.log(p).mean(axis=0))
    expected = [
        (mean.argmax(axis=-1) != labels).mean(),
        (geometric.argmax(axis=-1) != labels).mean(),
    ]
    assert [each.error for each in found.joined] == pytest.approx(expected)
    nll = -np.log((geometric / geometric.sum(axis=-1, keepdims=True))[np.arange(40), labels]).mean()
    assert found.joined[1].nll == pytest.approx(nll, rel=1e-4)
    sets = [[[0], [1], [2]], [[0, 1], [0, 2], [1, 2]], [[0, 1, 2]]]
    for size, each in zip(sets, found.by_size, strict=True):
        errors = [(p[m].mean(axis=0).argmax(axis=-1) != labels).mean() for m in size]
        assert (each.size, each.sets) == (len(size[0]), len(size))
        expected = (np.mean(errors), min(errors), max(errors))
        assert (each.error, each.lowest, each.highest) == pytest.approx(expected)
        nll = [-np.log(p[m].mean(axis=0)[np.arange(40), labels]).mean() for m in size]
        assert each.nll == pytest.approx(np.mean(nll), rel=1e-4)
    assert found.by_size[-1].calibration_error == found.joined[0].calibration_error
    assert "mean of logits" in str(found)


def test_sets_of_many_members_are_sampled():
    predictions, labels = drawn(members=10)
    found = inference.diversity(predictions, labels, NAMES, [str(n) for n in range(10)])
    # Of 252 sets of five, each third.
    assert [each.sets for each in found.by_size] == [10, 45, 60, 70, 84, 70, 60, 45, 10, 1]


def test_equal_members_do_not_differ():
    predictions, labels = drawn(1)
    certain = np.log(
        np.eye(3)[labels] + 0.0, where=np.eye(3)[labels] > 0, out=np.full((40, 3), -np.inf)
    )
    for one in (predictions[0], certain.astype(np.float32)):
        found = inference.diversity(np.stack([one, one]), labels, NAMES, ["x", "y"])
        assert found.disagreement == 0
        assert found.divergence == pytest.approx(0, abs=1e-6)


def test_the_mean_of_logits_is_that_of_logits():
    rng = np.random.default_rng(1)
    logits = jnp.asarray(rng.normal(size=(2, 5, 3)) * 3, jnp.float32)
    task = tasks.Classification(NAMES)
    joined = task.averages["logits"](jax.vmap(task.predict)(logits))
    np.testing.assert_allclose(joined, jax.nn.log_softmax(logits.mean(axis=0)), atol=1e-5)


def fractal(**fields):
    net = models.create_model(
        "fractalnet20", 3, columns=2, widths=(4,), dropout_rates=(0.0,), **fields
    )
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, 8, 8, 3)).astype(np.uint8)
    variables = jax.jit(lambda key: nn.init_network(net, key, jnp.zeros((1, 8, 8, 3))))(
        jax.random.key(0)
    )
    examples = data.from_arrays(image=images, label=rng.integers(0, 3, 8))
    return inference.Network(
        model=net,
        task=tasks.Classification(NAMES),
        variables=variables,
        preprocess=data.Preprocess(None, 0, (0.5,) * 3, (0.25,) * 3),
        form=ImageForm((8, 8, 3)),
        title=("fractalnet", "noise"),
        origin="a",
        load_examples=lambda framing: examples,
    )


def test_columns_are_networks_that_can_be_joined():
    network = fractal()
    columns = inference.columns_of(network)
    assert [column.origin for column in columns] == ["a, column 0", "a, column 1"]
    ensemble = inference.Ensemble(columns, average="logits")
    images = network.examples.column("image")
    singles = np.stack([column.predict(images) for column in columns])
    mean = singles.mean(axis=0)
    expected = mean - np.log(np.exp(mean).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(ensemble.predict(images), expected, rtol=1e-4, atol=1e-5)
    found = inference.compare_members(ensemble, batch_size=4)
    assert [each.name for each in found.members] == ["a, column 0", "a, column 1"]
    assert found.disagreement == (singles[0].argmax(axis=-1) != singles[1].argmax(axis=-1)).mean()
    with pytest.raises(training.ConfigError, match="FractalNet of one column; give a FractalNet"):
        inference.columns_of(columns[0])


def test_wrong_ensembles_are_named():
    network = fractal(column=0)
    with pytest.raises(training.ConfigError, match="average: 'mean' was given; Classification has"):
        inference.Ensemble((network, network), average="mean")
    with pytest.raises(training.ConfigError, match="members: there is one alone; give two"):
        inference.compare_members(inference.Ensemble((network,)))
    other = dataclasses.replace(network, model=models.create_model("resnet8_cifar"))
    with pytest.raises(training.ConfigError, match="columns_of: a is a ResNet; give a FractalNet"):
        inference.columns_of(other)


def test_networks_that_share_a_module_may_have_other_classes():
    first = fractal()
    other = dataclasses.replace(first, task=tasks.Classification(("b", "c", "a")))
    with pytest.raises(training.ConfigError, match="do not have the same task and classes"):
        inference.Ensemble([first, other])
    other = dataclasses.replace(first, data_identity={"seed": 1})
    with pytest.raises(training.ConfigError, match="do not evaluate the same images"):
        inference.Ensemble([first, other])
