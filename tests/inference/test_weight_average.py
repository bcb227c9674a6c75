"""The mean of weights, and batch statistics that belong to it, against NumPy."""

import dataclasses

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import data, inference, models, nn, tasks, training
from cnnjax.inference.images import ImageForm
from cnnjax.inference.weight_average import batch_statistics_of

IMAGES = np.random.default_rng(0).integers(0, 256, (22, 4, 4, 2)).astype(np.uint8)
EXAMPLES = data.from_arrays(image=IMAGES, label=np.zeros(22, np.int64))


class Net(linen.Module):
    """Norms of two momenta, the first of the image itself, and a counter."""

    @linen.compact
    def __call__(self, x, train=False):
        x = linen.BatchNorm(use_running_average=not train, momentum=0.99, name="first")(x)
        x = linen.Conv(3, (3, 3), use_bias=False, name="conv")(x)
        x = linen.BatchNorm(use_running_average=not train, momentum=0.5, name="second")(x)
        return linen.Dense(2, name="head")(x.mean(axis=(1, 2)))


def network(seed, origin="a"):
    preprocess = data.Preprocess(None, 0, (0.5, 0.5), (0.25, 0.25))
    variables = Net().init(jax.random.key(seed), jnp.zeros((1, 4, 4, 2)))
    return inference.Network(
        model=Net(),
        task=tasks.Classification(("a", "b")),
        variables=variables,
        preprocess=preprocess,
        form=ImageForm((4, 4, 2)),
        title=("net", "noise"),
        origin=origin,
        step=seed,
    )


def test_weights_are_averaged_leaf_by_leaf():
    networks = [network(seed) for seed in range(3)]
    mean = inference.average_weights(networks)
    kernels = [np.asarray(each.variables["params"]["conv"]["kernel"]) for each in networks]
    np.testing.assert_allclose(
        mean.variables["params"]["conv"]["kernel"], np.mean(kernels, axis=0), rtol=1e-6
    )
    assert mean.step == 2
    assert mean.origin.startswith("the mean of 3 networks")


def test_statistics_are_the_means_of_the_batches_own():
    renewed = inference.renew_statistics(network(0), EXAMPLES, batch_size=5)
    inputs = (IMAGES[:20] / 255 - 0.5) / 0.25
    batches = inputs.reshape(4, 5 * 16, 2)
    first = renewed.variables["batch_stats"]["first"]
    np.testing.assert_allclose(first["mean"], batches.mean(axis=1).mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(first["var"], batches.var(axis=1).mean(axis=0), rtol=1e-4)
    # The second norm's input, with the first one's own statistics of each batch.
    kernel = np.asarray(renewed.variables["params"]["conv"]["kernel"], np.float64)
    means = []
    for batch in inputs.reshape(4, 5, 4, 4, 2):
        normed = (batch - batch.mean(axis=(0, 1, 2))) / np.sqrt(batch.var(axis=(0, 1, 2)) + 1e-5)
        padded = np.pad(normed, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        means.append(np.einsum("bijchw,hwcf->bijf", windows, kernel).mean(axis=(0, 1, 2)))
    second = renewed.variables["batch_stats"]["second"]
    np.testing.assert_allclose(second["mean"], np.mean(means, axis=0), rtol=1e-3, atol=1e-5)


def test_statistics_are_those_of_evaluation_where_training_drops():
    def fractal(**rates):
        return models.create_model("fractalnet20", 3, columns=2, widths=(4,), **rates)

    dropping = fractal(dropout_rates=(0.5,))
    plain = fractal(dropout_rates=(0.0,), local_drop_rate=0.0, global_fraction=0.0)
    images = jnp.asarray(np.random.default_rng(0).normal(size=(6, 8, 8, 3)), jnp.float32)
    variables = jax.jit(lambda key: nn.init_network(plain, key, images))(jax.random.key(0))
    expected, found = (
        jax.jit(batch_statistics_of, static_argnums=0)(net, variables, images)
        for net in (plain, dropping)
    )
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_networks_without_statistics_and_odd_sizes():
    plain = dataclasses.replace(network(0), variables={"params": {}})
    assert inference.renew_statistics(plain, EXAMPLES) is plain
    with pytest.raises(training.ConfigError, match="batch_size: 0 was given; give 1 or more"):
        inference.renew_statistics(network(0), EXAMPLES, batch_size=0)
    # Fewer examples than a batch are one batch.
    one = inference.renew_statistics(network(0), EXAMPLES, batch_size=100)
    inputs = (IMAGES / 255 - 0.5) / 0.25
    np.testing.assert_allclose(
        one.variables["batch_stats"]["first"]["mean"], inputs.mean(axis=(0, 1, 2)), atol=1e-5
    )


def test_other_architectures_have_no_mean():
    other = dataclasses.replace(network(1, "b"), variables={"params": {"x": jnp.ones(2)}})
    with pytest.raises(training.ConfigError, match="a and b do not have the same variables"):
        inference.average_weights([network(0), other])
    with pytest.raises(training.ConfigError, match="networks: none were given"):
        inference.average_weights([])


def test_checkpoints_of_a_run_are_averaged(tmp_path):
    run = training.Run(
        model=Net(),
        task=tasks.Classification(("a", "b")),
        train=data.from_arrays(image=IMAGES, label=np.arange(22) % 2),
        optimizer=optax.sgd(0.1),
        epochs=2,
        batch_size=11,
    )
    # More than the three that stay if nothing is given.
    cadence = training.Cadence(checkpoint_steps=1, keep_checkpoints=4)
    training.fit(run, tmp_path / "run", progress=False, cadence=cadence)
    mean = inference.average_checkpoints(tmp_path / "run", last=4, run=run, batch_size=11)
    members = inference.load_checkpoints(tmp_path / "run", last=4, run=run)
    kernels = [np.asarray(each.variables["params"]["conv"]["kernel"]) for each in members]
    found = np.asarray(mean.variables["params"]["conv"]["kernel"])
    np.testing.assert_allclose(found, np.mean(kernels, axis=0), rtol=1e-6)
    inputs = run.preprocess.images(jnp.asarray(IMAGES))
    np.testing.assert_allclose(
        mean.variables["batch_stats"]["first"]["mean"], inputs.mean(axis=(0, 1, 2)), atol=1e-5
    )
    with pytest.raises(training.ConfigError, match="give either last, such as last=5, or steps"):
        inference.average_checkpoints(tmp_path / "run", run=run)
    with pytest.raises(training.ConfigError, match="keep_checkpoints: 1 was given; give 2 or more"):
        training.Cadence(keep_checkpoints=1)
