"""U-Net: the figure of the paper, other encoders, and every way of enlarging."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from cnnjax.analysis.cost.multiply_adds import multiply_adds
from cnnjax.models.dense.upsampling import interpolating_init
from tests.helpers.programs import quickly
from tests.models.shapes import drawn, size, variables_of


def conv(x, layer, window="SAME"):
    dims = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(x, layer["kernel"], (1, 1), window, dimension_numbers=dims)
    return y + layer["bias"][None, None, None]


def up(x, layer):
    """Each pixel becomes a patch of 2x2: the kernels of flax are turned by 180 degrees."""
    kernel = np.asarray(layer["kernel"])[::-1, ::-1]
    patches = np.einsum("nhwi,abio->nhawbo", np.asarray(x), kernel)
    batch, height, _, width, _, channels = patches.shape
    return patches.reshape(batch, 2 * height, 2 * width, channels) + np.asarray(layer["bias"])


def figure_1(params, x, depth):
    """Ronneberger et al., 2015, figure 1, with padded convolutions, from the layers' names."""
    encoder, kept = params["encoder"], []
    for level in range(1, depth + 2):
        if level > 1:
            kept.append(x)
            batch, height, width, channels = x.shape
            x = x.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
        for number in (1, 2):
            x = jax.nn.relu(conv(x, encoder[f"level{level}_conv{number}"]))
    for stride in [2**level for level in reversed(range(depth))]:
        x = jnp.concatenate([kept.pop(), jnp.asarray(up(x, params[f"up{stride}"]))], axis=-1)
        for number in (1, 2):
            x = jax.nn.relu(conv(x, params[f"decoder{stride}_conv{number}"]))
    return conv(x, params["classifier"])


def test_logits_are_those_of_the_papers_figure():
    net = models.create_model("unet", base=3, depth=2, num_classes=5)
    variables = drawn(variables_of(net, (8, 12, 1)))
    images = jax.random.normal(jax.random.key(0), (2, 8, 12, 1))
    logits = quickly(net.apply)(variables, images)
    expected = figure_1(variables["params"], images, 2)
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())


def closed_form(base, side, channels, classes, depth=4):
    """Multiply-adds: two 3x3 convolutions a level, and 2x2 kernels from each coarser unit."""
    count, inputs = 0, channels
    for level in range(depth + 1):
        width, units = base * 2**level, (side // 2**level) ** 2
        count += 9 * units * width * (inputs + width)
        if level < depth:
            # The same width again on the way up, after as many maps from the encoder.
            count += 9 * units * width * (2 * width + width)
            count += 4 * (units // 4) * (2 * width) * width
        inputs = width
    return count + side**2 * base * classes


def test_multiply_adds_are_the_closed_form():
    assert closed_form(64, 512, 1, 2) == 192_384_335_872
    net = models.create_model("unet", base=16, num_classes=11)
    assert multiply_adds(net, (64, 64, 3)) == closed_form(16, 64, 3, 11)


@pytest.mark.parametrize("upsampling", ["nearest"])
def test_other_up_convolutions_have_as_many_parameters(upsampling):
    net = models.create_model("unet", upsampling=upsampling)
    assert size(variables_of(net, (64, 64, 1))) == 31_030_658


SMALL_VGG = {"widths": (4, 4, 4, 8, 8)}
WIDE_POOLS = {"widths": (4, 8), "pool_size": 3}


@pytest.mark.parametrize(
    ("encoder", "fields", "shape", "upsampling"),
    [
        (None, {}, (16, 32, 3), "max_unpool"),
        (None, {}, (16, 32, 3), "nearest"),
        ("vgg11", SMALL_VGG, (32, 64, 3), "max_unpool"),
        ("simple_cnn", WIDE_POOLS, (9, 18, 1), "max_unpool"),
        ("simple_cnn", WIDE_POOLS, (9, 18, 1), "transposed"),
        ("simple_cnn", WIDE_POOLS, (9, 18, 1), "bilinear"),
        ("resnet20_cifar", {}, (8, 12, 3), "transposed"),
        pytest.param("resnet18", {}, (32, 64, 3), "bilinear", marks=pytest.mark.slow),
    ],
)
def test_every_encoder_and_upsampling_gives_logits_at_the_images_size(
    encoder, fields, shape, upsampling
):
    form = {"encoder": encoder, "encoder_fields": fields, "upsampling": upsampling}
    net = models.create_model("unet", num_classes=3, base=4, norm="batch", **form)
    images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    logits, variables = jax.eval_shape(net.init_with_output, jax.random.key(0), images)
    assert logits.shape == (1, *shape[:2], 3)
    assert "encoder" in variables["params"]


@pytest.mark.parametrize("side", [2, 4])
def test_transposed_kernels_start_without_a_checkerboard(side):
    """Every pixel of a constant map becomes the same, whatever its phase: the taps' sums agree."""
    init = interpolating_init(2, jax.nn.initializers.he_normal())
    kernel = np.asarray(init(jax.random.key(0), (side, side, 3, 2)))
    phases = kernel.reshape(side // 2, 2, side // 2, 2, 3, 2).sum(axis=(0, 2))
    np.testing.assert_allclose(phases, np.broadcast_to(phases[:1, :1], phases.shape), atol=1e-6)
    assert np.abs(phases).min() > 1e-3


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({}, (100, 96), r"multiples of 16, .* got 100x96; .* to 96x96 or 112x96"),
        ({"depth": 2}, (3, 8), r"multiples of 4, .* got 3x8; .* to 4x8"),
        ({"encoder": "resnet18"}, (80, 64), r"multiples of 32, .* got 80x64; .* 64x64 or 96x64"),
    ],
)
def test_sides_that_cannot_be_halved_are_refused_with_the_nearest_sizes(settings, shape, message):
    net = models.create_model("unet", **settings)
    with pytest.raises(ValueError, match=message):
        net.init(jax.random.key(0), jnp.zeros((1, *shape, 3)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": "resnet81"}, "resnet18"),
        ({"encoder": "lenet5"}, "is no encoder"),
        ({"encoder_fields": {"norm": "none"}}, "are for an encoder, and encoder is None"),
        ({"encoder": "resnet18", "encoder_fields": 3}, "encoder_fields must be fields"),
        ({"encoder": "resnet18", "encoder_fields": {"depth": 3}}, "takes no 'depth'"),
        (
            {"encoder": "resnet20_cifar", "upsampling": "max_unpool"},
            "max_unpool' needs an encoder whose max pools made all its maps",
        ),
        ({"upsampling": "cubic"}, "upsampling must be one of"),
        ({"base": 0}, "base must be an int of at least 1"),
    ],
)
def test_fields_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        models.create_model("unet", **settings)


def test_lists_of_configurations_become_tuples():
    fields = {"widths": [4, 8], "depth": [1, 2]}
    net = models.create_model("unet", encoder="simple_cnn", encoder_fields=fields)
    assert dict(net.encoder_fields) == {"widths": (4, 8), "depth": (1, 2)}
    hash(net)


def test_the_naive_net_costs_what_the_small_u_net_costs():
    naive = models.create_model("naive_dense")
    count = multiply_adds(naive, (64, 64, 3))
    # 7 convolutions of 29 channels at each of 64x64 pixels, and 11 scores.
    assert count == 64 * 64 * (9 * 29 * (3 + 6 * 29) + 29 * 11)
    assert count == pytest.approx(closed_form(16, 64, 3, 11), rel=0.002)
