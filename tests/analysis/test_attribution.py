import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.analysis.looks.attribution import grad_cam, occlusion_map, saliency
from cnnjax.analysis.looks.class_image import class_images
from cnnjax.analysis.looks.deconvnet import deconvnet
from cnnjax.analysis.looks.effective_field import effective_receptive_field, effective_size
from tests.analysis.nets import initialized


class Linear(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(3, use_bias=False)(x.reshape(x.shape[0], -1))


class Pooled(linen.Module):
    """A convolution, ReLU, the mean over the places and a dense layer."""

    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(4, (3, 3), name="maps")(x))
        return linen.Dense(3, name="head")(x.mean(axis=(1, 2)))


class PixelNet(linen.Module):
    """Two 1x1 convolutions with a ReLU and a max pool between them."""

    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(5, (1, 1), use_bias=False, name="one")(x))
        x = linen.max_pool(x, (2, 2), (2, 2))
        return linen.relu(linen.Conv(4, (1, 1), use_bias=False, name="two")(x))


def test_saliency_of_a_linear_model_is_its_weights():
    model = Linear()
    variables, images = initialized(model, (2, 4, 5, 3))
    weights = np.asarray(variables["params"]["Dense_0"]["kernel"]).reshape(4, 5, 3, 3)
    maps = saliency(model, variables, images, jnp.array([2, 0]))
    for n, label in enumerate((2, 0)):
        np.testing.assert_allclose(maps[n], np.abs(weights[..., label]).max(axis=-1), rtol=1e-6)


def test_grad_cam_is_the_class_activation_map_where_both_exist():
    """After a global mean, the weights are the dense layer's (Selvaraju et al., section 3.1)."""
    model = Pooled()
    variables, images = initialized(model, (2, 6, 6, 3))
    labels = jnp.array([1, 2])
    maps = np.asarray(linen.Conv(4, (3, 3)).apply({"params": variables["params"]["maps"]}, images))
    head = np.asarray(variables["params"]["head"]["kernel"])
    cam = grad_cam(model, variables, images, labels, "maps")
    for n, label in enumerate((1, 2)):
        # The ReLU after the layer stops the gradient where its input is negative.
        weights = head[:, label] * (maps[n] > 0).mean(axis=(0, 1)) / 36
        np.testing.assert_allclose(
            cam[n], np.maximum((maps[n] * weights).sum(-1), 0), rtol=1e-4, atol=1e-7
        )


def test_grad_cam_refuses_what_has_no_maps():
    model = Pooled()
    variables, images = initialized(model, (1, 6, 6, 3))
    with pytest.raises(ValueError, match="choose a layer with maps"):
        grad_cam(model, variables, images, jnp.array([0]), "head")
    with pytest.raises(KeyError, match=r"did you mean maps\?"):
        grad_cam(model, variables, images, jnp.array([0]), "map")


@pytest.mark.parametrize(
    ("images", "classes", "message"),
    [
        ((6, 6, 3), [0], r"images of shape \(6, 6, 3\); expected .batch.*give images.None."),
        ((2, 6, 6, 3), [0], r"classes of shape \(1,\).* for 2 images"),
        ((2, 6, 6, 3), [0.0, 1.0], "dtype float32"),
        ((2, 6, 6, 3), [0, 3], r"there is no class \[3\]; the network has 3"),
    ],
)
def test_images_and_classes_of_other_forms_are_refused(images, classes, message):
    model = Pooled()
    variables, _ = initialized(model, (1, 6, 6, 3))
    images, classes = jnp.zeros(images), jnp.array(classes)
    for look in (
        lambda: saliency(model, variables, images, classes),
        lambda: grad_cam(model, variables, images, classes, "maps"),
        lambda: occlusion_map(model, variables, images, classes, patch=2),
        lambda: class_images(model, variables, images, classes, steps=1),
    ):
        with pytest.raises(ValueError, match=message):
            look()


def test_occlusion_hides_one_square_at_a_time():
    model = Linear()
    variables, images = initialized(model, (1, 4, 4, 1))
    image = np.asarray(images[0])
    weights = np.asarray(variables["params"]["Dense_0"]["kernel"], np.float64)
    labels = jnp.array([1, 0])
    both = jnp.stack([image, image])
    result, other = occlusion_map(model, variables, both, labels, patch=2, stride=2, fill=0.5)
    assert result.shape == (2, 2) and not np.allclose(result, other)
    for i in range(2):
        for j in range(2):
            hidden = image.copy()
            hidden[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = 0.5
            exponentials = np.exp(hidden.reshape(-1) @ weights)
            np.testing.assert_allclose(
                result[i, j], exponentials[1] / exponentials.sum(), rtol=1e-5
            )
    with pytest.raises(ValueError, match="patch 5 and stride 1 do not fit"):
        occlusion_map(model, variables, both, labels, patch=5)


def test_deconvnet_rectifies_signals_and_unpools_through_switches():
    model = PixelNet()
    variables, images = initialized(model, (1, 4, 4, 3))
    one = np.asarray(variables["params"]["one"]["kernel"], np.float64)[0, 0]
    two = np.asarray(variables["params"]["two"]["kernel"], np.float64)[0, 0]
    hidden = np.maximum(np.asarray(images[0], np.float64) @ one, 0)
    blocks = hidden.reshape(2, 2, 2, 2, 5).transpose(0, 2, 1, 3, 4).reshape(2, 2, 4, 5)
    maps = blocks.max(axis=2) @ two
    channel = int(maps.max(axis=(0, 1)).argmax())
    row, column = np.unravel_index(maps[..., channel].argmax(), (2, 2))
    expected = np.zeros((4, 4, 3))
    for c in range(5):
        switch = blocks[row, column, :, c].argmax()
        signal = np.zeros(5)
        signal[c] = max(two[c, channel], 0)
        expected[2 * row + switch // 2, 2 * column + switch % 2] += signal @ one.T
    result = deconvnet(model, variables, images, "two", channel)
    np.testing.assert_allclose(result[0], expected, rtol=1e-5, atol=1e-6)


def test_deconvnet_refuses_channels_that_are_not_there():
    model = PixelNet()
    variables, images = initialized(model, (1, 4, 4, 3))
    with pytest.raises(ValueError, match="has no map 4"):
        deconvnet(model, variables, images, "two", 4)


def test_class_image_of_a_linear_model_is_its_weights():
    """The maximum of w·x - decay |x|² lies at w / (2 decay)."""
    model = Linear()
    variables, images = initialized(model, (2, 4, 4, 1))
    start = jnp.zeros_like(images)
    found, scores = class_images(
        model, variables, start, jnp.array([0, 1]), steps=300, learning_rate=0.002, decay=0.5
    )
    weights = np.asarray(variables["params"]["Dense_0"]["kernel"])
    np.testing.assert_allclose(np.asarray(found[0]).reshape(-1), weights[:, 0], atol=0.01)
    assert scores.shape == (300, 2) and float(scores[-1, 0]) > float(scores[0, 0])
    with pytest.raises(ValueError, match="shift 2 needs a key"):
        class_images(model, variables, start, jnp.array([0, 1]), shift=2)


def test_effective_field_of_uniform_kernels_is_a_product_of_trinomials():
    """Luo et al., 2016, section 2.1: n kernels of ones give the n-fold convolution of ones."""

    class Stack(linen.Module):
        @linen.compact
        def __call__(self, x):
            for i in range(3):
                x = linen.Conv(
                    1, (3, 3), use_bias=False, kernel_init=linen.initializers.ones, name=f"conv{i}"
                )(x)
            return x

    variables, images = initialized(Stack(), (2, 15, 15, 1))
    line = np.array([1.0])
    for _ in range(3):
        line = np.convolve(line, np.ones(3))
    expected = np.zeros((15, 15))
    expected[4:11, 4:11] = np.outer(line, line) / line.max() ** 2
    field = effective_receptive_field(Stack(), variables, images, "conv2")
    np.testing.assert_allclose(field, expected, rtol=1e-5, atol=1e-6)
    assert effective_size(field) == np.sqrt((expected > 0.0455).sum())
    with pytest.raises(KeyError, match="did you mean"):
        effective_receptive_field(Stack(), variables, images, "conv3")


def test_pictures_work_under_jit():
    model = Pooled()
    variables, images = initialized(model, (2, 6, 6, 3))
    labels = jnp.array([1, 2])
    jitted = jax.jit(lambda v, x: grad_cam(model, v, x, labels, "maps"))
    np.testing.assert_allclose(
        jitted(variables, images), grad_cam(model, variables, images, labels, "maps"), rtol=1e-5
    )
