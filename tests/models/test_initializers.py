"""Initialization: the papers' own with the scale it predicts, and He's or Glorot's by a flag."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models, ops
from cnnjax.models.initializers import SCHEMES, fan_in_uniform


def key(seed):
    """A key of the generator that compiles fastest."""
    return jax.random.key(seed, impl="rbg")


@pytest.mark.parametrize(
    ("name", "layer", "kernel_deviation", "bias"),
    [
        ("alexnet", "conv1", 0.01, 0.0),
        ("alexnet", "conv2", 0.01, 1.0),
        ("alexnet", "conv3", 0.01, 0.0),
        ("alexnet", "fc6", 0.01, 1.0),
        ("zfnet", "conv2", 0.01, 0.0),
        ("vgg11", "conv1_1", 0.01, 0.0),
        # He et al., 2015: a variance of 2 / (kernel size squared times input channels).
        ("resnet8_cifar", "conv1", math.sqrt(2 / 27), None),
        ("preact_resnet11_cifar", "conv1", math.sqrt(2 / 27), None),
        ("densenet10_4_cifar", "conv1", math.sqrt(2 / 27), None),
        # He's with the outputs, as in torchvision: 2 / (9 * 32), and N(0, 0.01) for the logits.
        ("mobilenet_v2", "conv1", math.sqrt(2 / 288), None),
        ("mobilenet_v2", "classifier", 0.01, 0.0),
        # Caffe's "xavier": a variance of 1 / fan-in.
        ("squeezenet1_0", "conv1", math.sqrt(1 / 147), 0.0),
        ("squeezenet1_0", "classifier", 0.01, 0.0),
        # LeCun et al., 1998: uniform within 2.4 / 25, of deviation 2.4 / 25 / sqrt(3).
        ("lenet5_1998", "c1", 2.4 / 25 / math.sqrt(3), 0.0),
    ],
)
def test_first_layers_start_as_in_the_paper(name, layer, kernel_deviation, bias):
    settings: dict[str, Any] = {"hidden": (64, 64)} if name in ("alexnet", "zfnet", "vgg11") else {}
    model, info = models.create_model(name, **settings), models.model_info(name)
    size = (67, 67, 3) if settings else info.input_size

    # Compiled for one layer alone: XLA drops what the result does not need.
    @jax.jit
    def first(key):
        return model.init(key, jnp.zeros((1, *size)))["params"][layer]

    params = first(key(0))
    assert np.std(params["kernel"]) == pytest.approx(kernel_deviation, rel=0.1)
    if bias is None:
        assert "bias" not in params
    else:
        np.testing.assert_array_equal(params["bias"], np.full(params["bias"].shape, bias))


def test_fan_in_uniform_stays_within_its_bound():
    values = fan_in_uniform(2.4)(jax.random.key(0), (5, 5, 6, 400))
    bound = 2.4 / (5 * 5 * 6)
    assert 0.99 * bound < np.abs(values).max() <= bound


def fans(shape):
    """Inputs and outputs of a unit, as Glorot and Bengio and He et al. count them."""
    taps = math.prod(shape[:-2])
    return taps * shape[-2], taps * shape[-1]


# Variances by the number of inputs and outputs: of what a rectifier follows, and of the logits.
VARIANCES = {
    "he": (lambda n, m: 2 / n, lambda n, m: 1 / n),
    "xavier": (lambda n, m: 2 / (n + m), lambda n, m: 2 / (n + m)),
    "xavier_rectified": (lambda n, m: 4 / (n + m), lambda n, m: 2 / (n + m)),
    "lecun": (lambda n, m: 1 / n, lambda n, m: 1 / n),
}


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@pytest.mark.parametrize(
    ("layer", "shape"),
    [("conv", (3, 3, 64, 128)), ("dense", (512, 256)), ("classifier", (512, 100))],
)
def test_schemes_have_their_variance(scheme, layer, shape):
    kernel = np.asarray(getattr(SCHEMES[scheme], layer)(key(0), shape, jnp.float32), np.float64)
    variance = VARIANCES[scheme][layer == "classifier"](*fans(shape))
    # The variance of n squared deviations is 2 / n (normal) or 0.8 / n (uniform) of their own.
    tolerance = 5 * math.sqrt(2 / kernel.size)
    assert np.var(kernel) == pytest.approx(variance, rel=tolerance)
    assert abs(kernel.mean()) < 5 * math.sqrt(variance / kernel.size)


def test_xavier_is_uniform_within_the_square_root_of_six_over_both_fans():
    kernel = np.asarray(SCHEMES["xavier"].conv(key(0), (3, 3, 64, 128), jnp.float32))
    bound = math.sqrt(6 / (9 * (64 + 128)))
    assert 0.999 * bound < np.abs(kernel).max() <= bound


@pytest.mark.parametrize(("scheme", "power"), [("xavier", 1 / 4), ("xavier_rectified", 1.0)])
def test_xavier_loses_half_of_the_power_at_each_rectifier(scheme, power):
    """A rectifier of what is symmetric about 0 keeps half of its power; a gain of 2 restores it."""
    x = jax.random.normal(key(2), (4, 12, 12, 64))
    for layer in range(2):
        kernel = SCHEMES[scheme].conv(key(layer), (3, 3, 64, 64), jnp.float32)
        x = jax.nn.relu(ops.conv2d(x, kernel, padding="VALID"))
    assert np.mean(np.square(x)) == pytest.approx(power, rel=0.15)


def feature_deviations(name, size, train=False, **settings):
    """Standard deviations of the features of noise on the scale that the network expects."""
    model, info = models.create_model(name, **settings), models.model_info(name)
    # Pixels spread over a quarter of their range, about as those of photographs do.
    deviation = info.scale / 4 / info.std[0]

    @jax.jit
    def features():
        images = deviation * jax.random.normal(key(0), (2, *size))
        (_, found), _ = models.apply_with_features(
            model,
            model.init(key(1), images),
            images,
            train=train,
            rngs={"dropout": key(2)},
            mutable=["batch_stats"],
        )
        return found

    return {feature: float(np.std(x)) for feature, x in features().items()}


def test_vgg_shrinks_its_activations_under_the_papers_initialization():
    """Why its authors trained A first: each layer multiplies by 0.01 sqrt(fan-in / 2)."""
    found = feature_deviations("vgg16", (32, 32, 3), hidden=(8, 8))
    fan_ins = [27, 576, 576, 1152, 1152, 2304, 2304, 2304, *[4608] * 5]
    predicted = math.prod(0.01 * math.sqrt(n / 2) for n in fan_ins)
    # A pool takes the largest of four, which raises the scale by 1 to 2, five times.
    assert predicted / 2 < found["block5"] < predicted * 2**5


@pytest.mark.parametrize("scheme", ["he", "xavier_rectified"])
@pytest.mark.parametrize(
    ("name", "settings", "size", "feature"),
    [
        ("vgg16", {"hidden": (8, 8)}, (32, 32, 3), "block5"),
        ("wrn10_1", {}, (16, 16, 3), "stage3"),
    ],
    ids=["vgg16", "wrn10_1"],
)
def test_he_and_rectified_xavier_keep_the_scale_of_features(name, settings, size, feature, scheme):
    found = feature_deviations(name, size, initialization=scheme, **settings)
    assert 0.1 < found[feature] < 10


# FractalNet's joins are means of columns, which only batch norm makes up for: it is taken as it is
# trained. Its scale while the running statistics are still 0 and 1 is the next test's.
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["he", "xavier_rectified"])
@pytest.mark.parametrize(
    ("name", "train"),
    [
        *((name, False) for name in ("vgg19", "alexnet", "zfnet", "googlenet", "resnet50")),
        *((name, True) for name in ("resnet50", "preact_resnet50", "fractalnet20")),
    ],
)
def test_he_and_rectified_xavier_keep_the_scale_of_deep_networks(name, train, scheme):
    found = feature_deviations(name, (96, 96, 3), train, initialization=scheme)
    *_, last = (feature for feature in found if not feature.startswith(("aux", "fc")))
    # Networks that are fed pixels up to 255 start on that scale.
    assert 0.1 < found[last] < max(10, models.model_info(name).scale / 4)


@pytest.mark.parametrize("scheme", ["he", "xavier_rectified"])
def test_joins_shrink_a_fractal_block_until_batch_norm_has_statistics(scheme):
    """The mean of columns that are independent over the weights has less power than each.

    He's scheme keeps E[x^2] = q through a convolution and a rectifier, whose output then has the
    mean sqrt(q / pi). A join of n columns of powers q_1, ..., q_n therefore has the power
    (sum_i q_i + sum_{i != j} sqrt(q_i q_j) / pi) / n^2: two columns 0.66 of theirs, and a block of
    three columns 0.42 of its input's, which makes 0.65^5 = 0.11 of the scale in five blocks.
    The rectified Xavier's multiplies every path once more by 2 in / (in + out), where channels
    change.
    """

    def joined(powers):
        pairs = [math.sqrt(a * b) for a in powers for b in powers]
        return (sum(powers) * (1 - 1 / math.pi) + sum(pairs) / math.pi) / len(powers) ** 2

    half_way = joined([1.0, 1.0])
    predicted = joined([1.0, half_way, half_way])
    assert predicted == pytest.approx(0.419, abs=1e-3)
    channels, width = 64, 192
    if scheme == "xavier_rectified":
        predicted *= 2 * channels / (channels + width)
    model = models.create_model(
        "fractalnet20", widths=(width,), dropout_rates=(0.0,), head="average", initialization=scheme
    )

    @jax.jit
    def block():
        images = jax.random.normal(key(0), (4, 20, 20, channels))
        return models.apply_with_features(model, model.init(key(1), images), images)[1]["block1"]

    # The border, which padding reaches through four convolutions, has less.
    inner = np.asarray(block())[:, 4:-4, 4:-4]
    assert np.sqrt(np.mean(inner**2)) == pytest.approx(math.sqrt(predicted), rel=0.15)


@pytest.mark.parametrize("zero", [True, False])
def test_zero_gammas_make_every_block_start_as_its_shortcut(zero):
    model = models.create_model("resnet8_cifar", zero_init_gamma=zero)

    @jax.jit
    def features():
        images = jax.random.normal(key(0), (2, 8, 8, 3))
        return models.apply_with_features(model, model.init(key(1), images), images)[1]

    found = features()
    assert np.allclose(found["stem"], found["stage1"]) == zero
