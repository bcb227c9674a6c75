"""Networks on larger images return the mean of their scores for each part."""

import functools

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from tests.models.shapes import drawn, registered


def make(name, size, channels, **fields):
    model = models.create_model(name, num_classes=5, **fields)
    image = jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), image)
    return model, drawn(shapes)


def images(size, channels, height=None):
    rng = np.random.default_rng(1)
    return rng.normal(size=(2, height or size, size, channels)).astype(np.float32)


def test_dense_layers_slide_as_convolutions():
    # Nothing is padded in LeNet-5, so that each place of its dense layers sees exactly one window
    # of the image, and the windows lie one stride of the last maps apart.
    model, variables = make("lenet5", 16, 1)
    x = images(24, 1, height=20)
    windows = np.stack(
        [x[:, top : top + 16, left : left + 16] for top in (0, 4) for left in (0, 4, 8)]
    )
    of_windows = jax.jit(model.apply)(variables, windows.reshape(12, 16, 16, 1))
    scores = np.asarray(of_windows).reshape(2, 3, 2, 5)
    found = jax.jit(lambda x: models.score_map(model, variables, x))(x)
    # The score map is that of a window slid over the image, one window after the other.
    tolerance = 2e-5 * np.abs(scores).max()
    np.testing.assert_allclose(found, np.moveaxis(scores, 2, 0), atol=tolerance)
    mean = jax.jit(lambda x: models.apply_densely(model, variables, x))(x)
    np.testing.assert_allclose(mean, scores.mean(axis=(0, 1)), atol=tolerance)


def test_an_adaptive_pool_is_left_out():
    fields = {"widths": (2, 2, 2, 2, 3), "hidden": (8, 8), "initialization": "he"}
    model, variables = make("vgg11", 32, 3, grid=(1, 1), **fields)
    x = images(64, 3)
    _, features = jax.jit(lambda x: models.apply_with_features(model, variables, x))(x)
    maps = np.asarray(features["block5"])
    assert maps.shape == (2, 2, 2, 3)
    scores = maps.reshape(2, 4, 3)
    for layer in ("fc6", "fc7", "classifier"):
        kernel, bias = (np.asarray(variables["params"][layer][p]) for p in ("kernel", "bias"))
        scores = scores @ kernel + bias
        if layer != "classifier":
            scores = np.maximum(scores, 0)
    found = jax.jit(lambda x: models.apply_densely(model, variables, x))(x)
    np.testing.assert_allclose(found, scores.mean(axis=1), rtol=1e-4, atol=1e-6)


def test_a_global_average_takes_larger_images():
    model, variables = make("resnet8_cifar", 16, 3)
    x = images(24, 3)
    # The mean of the scores at each place of the last maps, from the features themselves.
    _, features = jax.jit(lambda x: models.apply_with_features(model, variables, x))(x)
    maps = features["stage3"]
    kernel, bias = (np.asarray(variables["params"]["classifier"][p]) for p in ("kernel", "bias"))
    scores = np.asarray(maps) @ kernel + bias
    found = jax.jit(lambda x: models.apply_densely(model, variables, x))(x)
    np.testing.assert_allclose(found, scores.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    # It averages over all places itself.
    whole = jax.eval_shape(lambda x: models.score_map(model, variables, x), x)
    assert whole.shape == (2, 1, 1, 5)


def test_what_cannot_slide_is_refused():
    model = models.create_model("lenet5")

    def slide(made_with, size):
        shapes = [jax.ShapeDtypeStruct((1, *s, 1), jnp.float32) for s in (made_with, (size, size))]
        variables = jax.eval_shape(model.init, jax.random.key(0), shapes[0])
        jax.eval_shape(functools.partial(models.apply_densely, model), variables, shapes[1])

    slide((32, 32), 64)
    with pytest.raises(ValueError, match="from 32x32 to 35x35 work"):
        slide((32, 32), 24)
    # Weights for 5x8 maps have no square window.
    with pytest.raises(ValueError, match="no square images give that many"):
        slide((32, 44), 64)
    model = models.create_model("lenet_1989")
    with pytest.raises(ValueError, match="LeNet1989 has parameters of its own for each unit"):
        slide((16, 16), 24)
    with pytest.raises(ValueError, match="average over crops instead"):
        models.apply_densely(linen.Dense(3), {}, jnp.asarray(images(24, 1)))


@pytest.mark.parametrize(
    "name",
    [
        *("alexnet", "zfnet", "vgg16", "googlenet", "resnet18", "fractalnet20"),
        *("densenet16_12_cifar", "mobilenet_v2", "squeezenet1_1"),
    ],
)
def test_every_family_takes_images_half_as_large_again(name):
    model, info, variables = registered(name)
    side = info.input_size[0] * 3 // 2
    x = jax.ShapeDtypeStruct((2, side, side, info.input_size[2]), jnp.float32)
    logits = jax.eval_shape(functools.partial(models.apply_densely, model), variables, x)
    assert logits.shape == (2, model.num_classes)
