"""Errors for images that do not fit a network come early and name the sizes that do."""

import jax
import jax.numpy as jnp
import pytest

from cnnjax import models
from tests.models.shapes import registered, variables_of


def images(size, channels=3):
    return jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)


@pytest.mark.parametrize(
    ("name", "settings", "channels", "smallest", "layer"),
    [
        ("lenet5", {}, 1, 16, "s4"),
        ("lenet5_1998", {}, 1, 32, "c5"),
        ("alexnet", {}, 3, 67, "pool5"),
        ("zfnet", {}, 3, 47, "pool5"),
        ("vgg16", {}, 3, 32, "pool5"),
        pytest.param("googlenet", {"aux_heads": False}, 3, 31, "pool4", marks=pytest.mark.slow),
        pytest.param(
            "inception_v3", {"aux_heads": False}, 3, 75, "mixed_7a", marks=pytest.mark.slow
        ),
        ("fractalnet20", {}, 3, 32, "block5_pool"),
        ("densenet121", {"blocks": (1, 1, 1, 1)}, 3, 29, "transition3/pool"),
        ("densenet10_4_cifar", {}, 3, 4, "transition2/pool"),
        ("squeezenet1_0", {}, 3, 21, "pool8"),
        pytest.param("squeezenet1_1", {}, 3, 17, "pool5", marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_the_smallest_image_works_and_a_smaller_one_names_the_layer_and_the_size(
    name, settings, channels, smallest, layer
):
    model = models.create_model(name, **settings)
    jax.eval_shape(model.init, jax.random.key(0), images(smallest, channels))
    least = rf"images are {smallest - 1}x{smallest - 1}, .* at least {smallest}x{smallest}\b"
    problem = rf"{layer}\b.*(larger than the padded|no window).*{least}"
    with pytest.raises(ValueError, match=problem):
        jax.eval_shape(model.init, jax.random.key(0), images(smallest - 1, channels))


def test_one_side_that_is_too_short_is_enough_for_the_error():
    model, _, variables = registered("alexnet", "torchvision")
    narrow = jax.ShapeDtypeStruct((1, 300, 40, 3), jnp.float32)
    with pytest.raises(
        ValueError, match="images are 300x40, and AlexNet's layers need at least 63x63"
    ):
        jax.eval_shape(model.apply, variables, narrow)


@pytest.mark.slow
def test_auxiliary_heads_that_need_more_name_the_size_without_them():
    model = models.create_model("googlenet")
    jax.eval_shape(model.init, jax.random.key(0), images(79))
    sizes = r"aux1/pool\b.*at least 79x79 \(31x31 with aux_heads=False\)"
    with pytest.raises(ValueError, match=sizes):
        jax.eval_shape(model.init, jax.random.key(0), images(78))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((32, 32, 1), r"got \(32, 32, 1\); add a batch axis"),
        ((1, 0, 32, 1), "at least one pixel and one channel"),
        ((1, 32, 32, 0), "at least one pixel and one channel"),
        ((1, 32), r"\(batch, height, width, channels\)"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(shape, message):
    model, _, variables = registered("lenet5")
    given = jax.ShapeDtypeStruct(shape, jnp.float32)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(model.init, jax.random.key(0), given)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda v, x: model.apply(v, x=x), variables, given)


def test_errors_that_have_nothing_to_do_with_sizes_are_left_alone():
    model = models.create_model("alexnet", groups=5)
    with pytest.raises(ValueError, match="conv2") as caught:
        jax.eval_shape(model.init, jax.random.key(0), images(227))
    assert "at least" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("lenet5", 32, 35), ("lenet5_1998", 32, 35), ("alexnet", 227, 258), ("vgg11", 224, 255)],
)
def test_dense_layers_name_the_sizes_that_work(name, low, high):
    model, info, variables = registered(name)
    for size in (low, high):
        jax.eval_shape(model.apply, variables, images(size, info.input_size[2]))
    with pytest.raises(ValueError, match=f"from {low}x{low} to {high}x{high} work"):
        jax.eval_shape(model.apply, variables, images(high + 1, info.input_size[2]))


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("alexnet", "torchvision"),
        ("vgg16_bn", "torchvision"),
        ("googlenet", None),
        ("googlenet", "torchvision"),
        ("inception_v3", None),
        ("resnet18", None),
        ("preact_resnet50", None),
        ("wrn16_4", None),
        ("fractalnet34", None),
        ("densenet16_12_cifar", None),
        ("mobilenet_v2", None),
        ("squeezenet1_0", None),
    ],
)
def test_networks_without_a_fixed_grid_take_other_sizes_with_the_same_variables(name, variant):
    model, info, variables = registered(name, variant)
    height, width, channels = info.input_size
    other = jax.ShapeDtypeStruct((1, height + 33, width - 8, channels), jnp.float32)
    assert jax.eval_shape(model.apply, variables, other).shape == (1, model.num_classes)


def test_auxiliary_heads_of_another_size_name_the_setting_without_them():
    model, _, variables = registered("googlenet")
    with pytest.raises(ValueError, match=r"aux1/fc1.*\(5x5x128\); set aux_heads=False"):
        jax.eval_shape(
            lambda v, x: models.apply_with_features(model, v, x)[1], variables, images(288)
        )


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_networks_that_pad_before_each_stride_take_a_single_pixel(name):
    model = models.create_model(name)
    assert variables_of(model, (1, 1, 3))
