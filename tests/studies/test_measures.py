"""What is measured of a trained run, against other ways to the same numbers."""

import jax
import numpy as np
import optax
import pytest

from cnnjax import data, studies, tasks, training
from cnnjax.studies.measures import Trained
from tests.studies.tiny_net import TinyNet


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run in memory on random images, two steps an epoch."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (40, 8, 8, 1), np.uint8)
    labels = draw.integers(0, 10, 40, np.int32)
    run = training.Run(
        model=TinyNet(),
        task=tasks.Classification(class_names=tuple("0123456789")),
        train=data.from_arrays(image=images, label=labels),
        test=data.from_arrays(image=images[:10], label=labels[:10]),
        optimizer=optax.sgd(0.1),
        epochs=2,
        batch_size=20,
    )
    with jax.numpy_dtype_promotion("standard"):
        result = training.fit(run, progress=False)
    return Trained(run, result, tmp_path_factory.getbasetemp()), images, labels


def logits_of(trained, variables, images):
    """Returns the network's outputs for stored images, by its own preprocessing."""
    run = trained.run
    inputs = run.preprocess({"image": images}, {"image": "image"})["image"]
    return run.model.apply(variables, inputs)


def test_errors_count_wrong_examples(trained):
    run, images, labels = trained
    logits = logits_of(run, run.result.variables, images)
    wrong = np.asarray(logits).argmax(-1) != labels
    assert studies.training_error(run) == pytest.approx(wrong.mean())
    assert studies.error(run) == pytest.approx(wrong[:10].mean())
    assert studies.metric("loss")(run) == run.result.metrics["loss"]


def test_gradient_norms_are_those_of_the_first_batch_at_the_first_state(trained):
    run, images, labels = trained
    state = run.run.init_state()
    first = np.asarray(run.run.orders["train"].block(0))[0]

    def loss(params):
        logits = logits_of(run, {"params": params}, images[first])
        chosen = jax.nn.log_softmax(logits)[np.arange(len(first)), labels[first]]
        return -chosen.mean()

    gradient = jax.grad(loss)(state.params)
    expected = [np.linalg.norm(gradient[layer]["kernel"]) for layer in ("conv", "head")]
    assert studies.gradient_norms(run) == pytest.approx(expected, rel=1e-4)


def test_an_unknown_metric_is_named_with_the_nearest(trained):
    with pytest.raises(training.ConfigError, match=r"no metric 'accurac'; did you mean accuracy\?"):
        studies.training_metric("accurac")(trained[0])
