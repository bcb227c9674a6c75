"""Encoders that end at a feature, and SimCLR's task on them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import data, models, tasks, training
from cnnjax.training.check import check_run
from cnnjax.transfer.few_labels import (
    FeatureEncoder,
    ProjectedEncoder,
    SimCLR,
    encoder_variables,
    simclr_stream,
)
from tests.transfer.few_labels.linear_net import LinearNet

NET = models.create_model("simple_cnn", 4, widths=(3, 5), hidden=(6,))
IMAGES = jax.random.normal(jax.random.key(0), (2, 8, 8, 1))


@pytest.fixture(scope="module")
def trained():
    return jax.jit(NET.init)(jax.random.key(1), IMAGES)


@jax.jit
def all_features(variables):
    return models.apply_with_features(NET, variables, IMAGES)[1]


@pytest.mark.parametrize(
    ("layer", "average"), [("stage2", False), ("stage1", True), ("hidden1", True)]
)
def test_rows_are_the_networks_own_feature(trained, layer, average):
    features = all_features(trained)[layer]
    expected = features.mean(axis=(1, 2)) if features.ndim == 4 and average else features
    encoder = FeatureEncoder(NET, layer, average)
    # The network's variables are the encoder's, with more than it needs.
    rows = jax.jit(encoder.apply)(trained, IMAGES)
    np.testing.assert_allclose(rows, expected.reshape(2, -1), rtol=1e-6)
    shapes = jax.eval_shape(encoder.init, jax.random.key(0), IMAGES)
    assert "classifier" not in shapes["params"]
    for name, layers in shapes["params"].items():
        assert jax.tree.map(jnp.shape, layers) == jax.tree.map(jnp.shape, trained["params"][name])


def test_an_unknown_feature_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="no feature 'stage3'; it has stage1, stage2, hidden1"):
        jax.eval_shape(FeatureEncoder(NET, "stage3").init, jax.random.key(0), IMAGES)


def test_a_network_without_named_features_is_refused():
    with pytest.raises(ValueError, match="LinearNet has no named features; give a network of"):
        FeatureEncoder(LinearNet(), "stage1")


def projected():
    return ProjectedEncoder(FeatureEncoder(NET, "stage2", average=True), hidden=7, outputs=3)


def test_a_projection_is_two_layers_on_the_features():
    net = projected()
    variables = jax.jit(net.init)(jax.random.key(2), IMAGES)
    own = encoder_variables(variables)
    assert set(own) == {"params", "batch_stats"}
    features = np.asarray(jax.jit(FeatureEncoder(NET, "stage2", average=True).apply)(own, IMAGES))
    params = jax.device_get(variables["params"])
    hidden, last = params["hidden"], params["projection"]
    hidden = np.maximum(features @ hidden["kernel"] + hidden["bias"], 0)
    expected = hidden @ last["kernel"] + last["bias"]
    np.testing.assert_allclose(
        jax.jit(net.apply)(variables, IMAGES), expected, rtol=1e-4, atol=1e-6
    )


def test_variables_without_an_encoder_are_refused(trained):
    with pytest.raises(ValueError, match="they have no encoder; give those of a ProjectedEncoder"):
        encoder_variables(trained)


def examples():
    return data.from_arrays(image=np.zeros((16, 8, 8, 1), np.uint8), label=np.arange(16))


def run(**changes):
    stream = simclr_stream(examples(), 8, "crop(1)")
    made = training.Run(model=projected(), task=SimCLR(), train=stream, optimizer=optax.sgd(0.1))
    return made.replace(**changes)


def test_simclr_sees_no_label():
    assert list(run().main.examples.spec) == ["image"]


def test_what_simclr_cannot_train_is_refused_before_any_work():
    check_run(run())
    with pytest.raises(
        training.ConfigError, match="2 parts of it have another loss than the whole"
    ):
        check_run(run(accumulate=2))
    with pytest.raises(training.ConfigError, match="needs two views of each image, and 'first' is"):
        check_run(run(train=data.Stream(examples(), 8)))
    with pytest.raises(ValueError, match="batch_size: 1 was given; give 2 or more"):
        simclr_stream(examples(), 1, "")
    with pytest.raises(ValueError, match="0 was given; give more than 0"):
        SimCLR(temperature=0)
    with pytest.raises(ValueError, match=r"SimCLR needs projections .* gives \(2, 8, 8\)"):
        SimCLR().check({}, jnp.zeros((2, 8, 8)))
    with pytest.raises(tasks.TaskError, match="evaluation has one; leave test out"):
        moment = tasks.Moment(jax.random.key(0), train=False)
        SimCLR().evaluate(LinearNet(), {}, {}, moment)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_devices_train_what_one_device_trains(mode):
    images = np.random.default_rng(0).integers(0, 255, (32, 8, 8, 1), dtype=np.uint8)
    whole = run(train=simclr_stream(data.from_arrays(image=images), 16, "crop(1)"), epochs=2)
    one = training.fit(whole, progress=False)
    spread = training.fit(whole, progress=False, parallel=training.Parallel(mode))
    assert spread.history[-1]["loss"] == pytest.approx(one.history[-1]["loss"], rel=1e-4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        spread.variables,
        one.variables,
    )
