"""Attribution, class images and projections where they have a closed form."""

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.analysis.looks.attribution import (
    check_classes,
    class_of_each,
    class_scores,
    grad_cam,
    occlusion_map,
    saliency,
)
from cnnjax.analysis.looks.class_image import class_images
from cnnjax.analysis.looks.deconvnet import deconvnet
from cnnjax.analysis.looks.effective_field import effective_receptive_field, effective_size
from tests.analysis.nets import initialized


class Linear(linen.Module):
    """Logits that are weighted sums of the pixels."""

    classes: int = 3

    @linen.compact
    def __call__(self, x):
        return linen.Dense(self.classes, use_bias=False, name="head")(x.reshape(x.shape[0], -1))


class LinearMaps(linen.Module):
    """A 1x1 convolution without a nonlinearity, and a dense layer on the mean of its maps."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(4, (1, 1), use_bias=False, name="maps")(x)
        return linen.Dense(3, use_bias=False, name="head")(x.mean(axis=(1, 2)))


@pytest.fixture(scope="module")
def line():
    """A linear model, its variables, images and its weights [height, width, channels, classes]."""
    variables, images = initialized(Linear(), (2, 4, 5, 2))
    weights = np.asarray(variables["params"]["head"]["kernel"], np.float64).reshape(4, 5, 2, 3)
    return Linear(), variables, images, weights


def _softmax(x):
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def test_saliency_of_a_linear_model_does_not_depend_on_the_image(line):
    model, variables, images, weights = line
    classes = np.array([1, 1])
    maps = saliency(model, variables, 100 * images, classes)
    np.testing.assert_allclose(maps[0], maps[1], rtol=1e-6)
    np.testing.assert_allclose(maps[0], np.abs(weights[..., 1]).max(axis=-1), rtol=1e-5)


def test_grad_cam_of_linear_maps_is_the_positive_part_of_their_weighted_sum():
    """The gradient of a mean over 30 places by a map is its weight over 30 everywhere."""
    model = LinearMaps()
    variables, images = initialized(model, (2, 5, 6, 3))
    params = variables["params"]
    maps = np.asarray(images, np.float64) @ np.asarray(params["maps"]["kernel"])[0, 0]
    weights = np.asarray(params["head"]["kernel"], np.float64)
    cam = grad_cam(model, variables, images, np.array([2, 0]), "maps")
    for place, chosen in enumerate((2, 0)):
        expected = np.maximum(maps[place] @ weights[:, chosen] / 30, 0)
        np.testing.assert_allclose(cam[place], expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("patch", "stride", "shape"), [(1, 3, (2, 2)), (4, 1, (1, 2)), (3, 2, (1, 2))]
)
def test_occlusion_of_a_linear_model_subtracts_the_hidden_weights(line, patch, stride, shape):
    model, variables, images, weights = line
    found = occlusion_map(
        model, variables, images, np.array([2, 1]), patch=patch, stride=stride, fill=0.0
    )
    assert found.shape == (2, *shape)
    image = np.asarray(images[0], np.float64)
    products = image[..., None] * weights
    for i, j in np.ndindex(shape):
        rows = slice(i * stride, i * stride + patch)
        columns = slice(j * stride, j * stride + patch)
        logits = products.sum(axis=(0, 1, 2)) - products[rows, columns].sum(axis=(0, 1, 2))
        np.testing.assert_allclose(found[0, i, j], _softmax(logits)[2], rtol=1e-4)


@pytest.mark.parametrize(("patch", "stride"), [(0, 1), (5, 1), (2, 0)])
def test_patches_that_do_not_fit_are_refused(line, patch, stride):
    model, variables, images, _ = line
    with pytest.raises(ValueError, match=f"patch {patch} and stride {stride} do not fit .* 4x5"):
        occlusion_map(model, variables, images, np.array([0, 0]), patch=patch, stride=stride)


def test_one_step_of_a_class_image_has_a_root_mean_square_of_the_learning_rate(line):
    model, variables, images, weights = line
    start = jnp.asarray(images)
    found, scores = class_images(
        model, variables, start, np.array([0, 2]), steps=1, learning_rate=0.25, decay=0.1
    )
    for place, chosen in enumerate((0, 2)):
        image = np.asarray(images[place], np.float64)
        gradient = weights[..., chosen] - 2 * 0.1 * image
        expected = image + 0.25 * gradient / np.sqrt((gradient**2).mean())
        np.testing.assert_allclose(found[place], expected, rtol=1e-4, atol=1e-5)
        score = (image * weights[..., chosen]).sum()
        np.testing.assert_allclose(scores[0, place], score, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps 0 is below 1"),
        ({"shift": -1}, "shift -1 is below 0"),
        ({"shift": 1}, "shift 1 needs a key"),
    ],
)
def test_steps_that_cannot_be_taken_are_refused(line, options, message):
    model, variables, images, _ = line
    with pytest.raises(ValueError, match=message):
        class_images(model, variables, images, np.array([0, 1]), **options)


def test_an_image_whose_score_cannot_change_stays_as_it_is():
    class Constant(linen.Module):
        @linen.compact
        def __call__(self, x):
            return jnp.zeros((x.shape[0], 2)) * self.param("w", linen.initializers.ones, (1, 1))

    variables, images = initialized(Constant(), (1, 3, 3, 1))
    found, _ = class_images(Constant(), variables, images, np.array([0]), steps=3, decay=0.0)
    np.testing.assert_array_equal(found, images)


def test_projections_of_a_linear_layer_are_its_weights_at_the_strongest_place():
    model = LinearMaps()
    variables, images = initialized(model, (2, 5, 6, 3))
    kernel = np.asarray(variables["params"]["maps"]["kernel"])[0, 0]
    maps = np.asarray(images) @ kernel
    found = deconvnet(model, variables, images, "maps", 1)
    for place in range(2):
        row, column = np.unravel_index(maps[place, ..., 1].argmax(), (5, 6))
        expected = np.zeros((5, 6, 3))
        expected[row, column] = kernel[:, 1]
        np.testing.assert_allclose(found[place], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("layer", "channel"), [("maps", 4), ("maps", -1), ("head", 0)])
def test_layers_without_the_map_are_refused(layer, channel):
    model = LinearMaps()
    variables, images = initialized(model, (1, 5, 6, 3))
    with pytest.raises(ValueError, match=f"has no map {channel}; choose a layer with maps"):
        deconvnet(model, variables, images, layer, channel)


def test_the_effective_field_of_a_1x1_layer_is_the_middle_pixel():
    model = LinearMaps()
    variables, images = initialized(model, (2, 5, 6, 3))
    field = effective_receptive_field(model, variables, images, "maps")
    expected = np.zeros((5, 6))
    expected[2, 3] = 1
    np.testing.assert_array_equal(field, expected)
    assert effective_size(field) == 1
    with pytest.raises(ValueError, match="'head' returns"):
        effective_receptive_field(model, variables, images, "head")


def test_the_field_of_a_dead_unit_is_0():
    class Dead(linen.Module):
        @linen.compact
        def __call__(self, x):
            bias = linen.initializers.constant(-1e3)
            return linen.relu(linen.Conv(2, (3, 3), bias_init=bias, name="conv")(x))

    variables, images = initialized(Dead(), (1, 5, 5, 1))
    assert not np.asarray(effective_receptive_field(Dead(), variables, images, "")).any()
    assert effective_size(np.zeros((5, 5))) == 0


def test_pixels_above_the_threshold_are_counted():
    """1 - 0.9545 = 0.0455: 9 pixels above it make a square of side 3."""
    field = np.full((6, 6), 0.045)
    field[1:4, 1:4] = 0.046
    assert effective_size(field) == 3


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([0, 1, 2], r"shape \(3,\) and dtype int32 for 2 images"),
        ([[0], [1]], r"shape \(2, 1\)"),
        ([0.0, 1.0], "dtype float32"),
        ([True, False], "dtype bool"),
        (0, r"shape \(\)"),
    ],
)
def test_classes_are_a_whole_number_for_each_image(classes, message):
    with pytest.raises(ValueError, match=f"look: classes of .*{message}"):
        class_of_each(np.zeros((2, 4, 4, 1)), classes, "look")
    classes = np.array([1, 0])
    assert class_of_each(np.zeros((2, 4, 4, 1)), classes, "look").tolist() == [1, 0]


def test_scores_are_the_logits_of_the_classes():
    logits = jnp.arange(6.0).reshape(2, 3)
    assert class_scores(logits, jnp.array([2, 0])).tolist() == [2.0, 3.0]
    with pytest.raises(ValueError, match=r"there is no class \[-1, 3\]; the network has 3"):
        check_classes(logits, jnp.array([3, -1]))
    with pytest.raises(ValueError, match=r"the network returns \(2, 3, 1\); expected logits"):
        check_classes(logits[..., None], jnp.array([0, 0]))
