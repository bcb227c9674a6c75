"""Localizers and center networks on backbones of the registry."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from tests.models.shapes import drawn, variables_of

TINY = {"encoder": "simple_cnn", "encoder_fields": {"widths": (4, 8)}}


def shapes_of(model, size, batch=2):
    images = jax.ShapeDtypeStruct((batch, *size), jnp.float32)
    variables = variables_of(model, size)
    apply = lambda v, x: models.apply_with_features(model, v, x)  # noqa: E731
    outputs, features = jax.eval_shape(apply, variables, images)
    return outputs.shape, {name: each.shape[1:] for name, each in features.items()}


@pytest.mark.parametrize(
    ("encoder", "decoded"),
    [
        pytest.param("resnet18", [16, 8, 4], marks=pytest.mark.slow),
        ("resnet20_cifar", []),
        ("vgg11_bn", [16, 8, 4]),
    ],
)
def test_maps_are_enlarged_to_a_stride_of_four(encoder, decoded):
    model = models.create_model("center_net", encoder=encoder, num_classes=3, width=8)
    size = (64, 96, 3)
    shape, features = shapes_of(model, size)
    assert shape == (2, 16, 24, 7)
    assert {name for name in features if name.startswith("decoded")} == {
        f"decoded{stride}" for stride in decoded
    }
    for stride in decoded:
        assert features[f"decoded{stride}"] == (64 // stride, 96 // stride, 8)


@pytest.mark.slow
def test_all_cells_start_unsure_of_a_center():
    model: Any = models.create_model("center_net", num_classes=3, stride=2, **TINY)
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 16, 16, 1)))
    images = jax.random.normal(jax.random.key(1), (4, 16, 16, 1))
    heat = jax.nn.sigmoid(jax.jit(model.apply)(variables, images)[..., :3])
    np.testing.assert_allclose(heat, 0.1, atol=0.08)
    # New classes start alike.
    new, values = models.reset_classifier(model, variables, 5, jax.random.key(2))
    heat = jax.nn.sigmoid(jax.jit(new.apply)(values, images)[..., :5])
    np.testing.assert_allclose(heat, 0.1, atol=0.08)


def test_a_center_network_moves_its_maps_with_the_image():
    model = models.create_model("center_net", num_classes=2, stride=2, norm="none", **TINY)
    # A batch norm in evaluation mode is the same everywhere, too.
    variables = drawn(variables_of(model, (64, 64, 1)))
    images = np.zeros((1, 64, 64, 1), np.float32)
    images[0, 24:30, 22:30] = 1
    apply = jax.jit(model.apply)
    still, moved = (apply(variables, x) for x in (images, np.roll(images, (4, 8), axis=(1, 2))))
    # Two and four cells, away from the edges.
    inner = np.asarray(still)[:, 8:20, 8:20]
    assert inner.std(axis=(1, 2)).min() > 0.01
    np.testing.assert_allclose(inner, np.asarray(moved)[:, 10:22, 12:24], atol=1e-4)


def test_a_grid_lets_a_localizer_take_larger_images():
    model = models.create_model("localizer", num_classes=3, grid=2, hidden=(), **TINY)
    shape, _ = shapes_of(model, (16, 16, 1))
    assert shape == (2, 7)
    variables = variables_of(model, (16, 16, 1))
    larger = jax.ShapeDtypeStruct((1, 32, 40, 1), jnp.float32)
    assert jax.eval_shape(model.apply, variables, larger).shape == (1, 7)
    plain = models.create_model("localizer", num_classes=3, **TINY)
    variables = variables_of(plain, (16, 16, 1))
    with pytest.raises(
        ValueError, match=r"box_hidden1: its weights are for 128 values an image, .*set grid, which"
    ):
        jax.eval_shape(plain.apply, variables, larger)


def test_encoders_give_their_weights_a_part_of_its_own():
    for name in ("localizer", "center_net"):
        model = models.create_model(name, encoder="resnet20_cifar", num_classes=3)
        backbone = models.create_model("resnet20_cifar", num_classes=10)
        whole = variables_of(model, (32, 32, 3))["params"]["encoder"]
        own = dict(variables_of(backbone, (32, 32, 3))["params"])
        del own["classifier"]
        assert jax.tree.map(jnp.shape, dict(whole)) == jax.tree.map(jnp.shape, own)
        assert isinstance(model.part("encoder"), models.resnet.ResNet)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stride": 3, **TINY}, r"stride=3, but the maps of 'simple_cnn' have strides 2, 4"),
        ({"encoder": "lenet5"}, "LeNet5 is no encoder"),
        ({"encoder": None}, "encoder must be a network's name"),
        ({"width": 0, **TINY}, "width must be an int of at least 1"),
    ],
)
def test_networks_that_cannot_work_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        models.create_model("center_net", num_classes=3, **fields)


def test_images_that_cannot_be_halved_are_refused():
    model = models.create_model("center_net", num_classes=3, stride=2, **TINY)
    with pytest.raises(ValueError, match=r"multiples of 4, .* got 18x16"):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 18, 16, 1)))
    for hidden in (8, (-1,)):
        with pytest.raises(ValueError, match="hidden must be"):
            models.create_model("localizer", hidden=hidden, **TINY)
    with pytest.raises(ValueError, match="grid must be an int of at least 1, or None"):
        models.create_model("localizer", grid=0, **TINY)
