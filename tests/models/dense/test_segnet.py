"""SegNet: a mirrored decoder that puts values back where the maxima were."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from cnnjax.analysis.cost.multiply_adds import multiply_adds
from tests.helpers.programs import quickly
from tests.models.shapes import drawn, size, variables_of

VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def closed_form(blocks, side, classes, channels=3):
    """Parameters and multiply-adds of VGG's blocks with batch norms, and of their mirror image."""
    parameters = products = 0
    for number, widths in enumerate(blocks):
        units = (side // 2**number) ** 2
        before = blocks[number - 1][-1] if number else channels
        ways_up = [*widths[1:], before if number else classes]
        for inputs, outputs in zip(
            (before, *widths[:-1], *([widths[-1]] * len(widths))), (*widths, *ways_up), strict=True
        ):
            products += 9 * units * inputs * outputs
            parameters += 9 * inputs * outputs + outputs + 2 * outputs
    # The last convolution has no batch norm.
    return parameters - 2 * classes, products


@pytest.mark.slow
def test_parameters_and_multiply_adds_are_those_of_vgg_and_its_mirror_image():
    assert closed_form(VGG16, 64, 11)[0] == models.model_info("segnet").parameters
    parameters, products = closed_form(VGG16, 64, 12)
    assert parameters == 29_449_932
    net = models.create_model("segnet", 12)
    assert size(variables_of(net, (64, 64, 3))["params"]) == parameters
    assert multiply_adds(net, (64, 64, 3)) == products


def test_values_return_to_the_places_of_the_maxima():
    """With identity kernels in the decoder, what comes back is where the encoder's maxima were."""
    net = models.create_model(
        "segnet",
        4,
        encoder="simple_cnn",
        encoder_fields={"widths": (4,), "norm": "none"},
        norm="none",
    )
    variables = drawn(variables_of(net, (7, 6, 3)))
    identity = np.zeros((3, 3, 4, 4), np.float32)
    identity[1, 1] = np.eye(4)
    variables["params"]["classifier"] = {"kernel": jnp.asarray(identity), "bias": jnp.zeros(4)}
    images = jax.random.normal(jax.random.key(0), (1, 7, 6, 3))
    layer = variables["params"]["encoder"]["stage1_conv1"]
    active = jax.nn.relu(
        jax.lax.conv_general_dilated(
            images, layer["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        + layer["bias"][None, None, None]
    )
    logits = quickly(net.apply)(variables, images)
    # The last row of seven is in no window.
    assert not np.any(logits[:, 6])
    windows = np.asarray(active)[:, :6].reshape(1, 3, 2, 3, 2, 4)
    largest = windows.max(axis=(2, 4), keepdims=True)
    kept = np.where(windows == largest, windows, 0).reshape(1, 6, 6, 4)
    np.testing.assert_allclose(logits[:, :6], kept, atol=1e-6)


def test_unpooling_takes_any_size_and_other_ways_need_multiples():
    form = {"encoder": "vgg11", "encoder_fields": {"widths": (2, 2, 2, 4, 4)}}
    net = models.create_model("segnet", 3, **form)
    images = jax.ShapeDtypeStruct((1, 45, 60, 3), jnp.float32)
    logits, _ = jax.eval_shape(net.init_with_output, jax.random.key(0), images)
    assert logits.shape == (1, 45, 60, 3)
    other = models.create_model("segnet", 3, upsampling="bilinear", **form)
    with pytest.raises(ValueError, match=r"multiples of 32, .* got 45x60"):
        jax.eval_shape(other.init, jax.random.key(0), images)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear", "transposed"])
def test_other_encoders_and_ways_of_enlarging(upsampling):
    fields = {"blocks": (1, 1), "widths": (4, 8)}
    net = models.create_model(
        "segnet", 3, encoder="resnet18", encoder_fields=fields, upsampling=upsampling
    )
    images = jax.ShapeDtypeStruct((1, 16, 24, 3), jnp.float32)
    logits, variables = jax.eval_shape(net.init_with_output, jax.random.key(0), images)
    assert logits.shape == (1, 16, 24, 3)
    kernels = [name for name in variables["params"] if name.startswith("up")]
    assert sorted(kernels) == (["up1", "up2", "up4"] if upsampling == "transposed" else [])


@pytest.mark.slow
def test_images_that_are_too_small_name_the_smallest():
    net = models.create_model("segnet", encoder="vgg11")
    with pytest.raises(ValueError, match="at least 32x32"):
        jax.eval_shape(net.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 20, 40, 3), "float32"))
