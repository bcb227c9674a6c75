import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.analysis.behavior.embedding import canvas, embed_features
from cnnjax.analysis.behavior.equivariance import equivariance_error, layer_equivariance
from cnnjax.analysis.behavior.invariance import invariance_curve, transform_images
from cnnjax.analysis.behavior.rectifiers import dead_units
from cnnjax.analysis.behavior.signals import depth_study, initializers, layer_signals
from cnnjax.analysis.cost.batch_size import max_batch, training_step_bytes
from tests.analysis.nets import PlainNet, initialized


def test_convolution_is_equivariant_and_position_is_not():
    images = jax.random.normal(jax.random.key(0), (2, 16, 16, 2))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 2, 4))
    assert equivariance_error(lambda x: ops.conv2d(x, kernel), images, (2, -3), margin=1) < 1e-6
    strided = equivariance_error(
        lambda x: ops.conv2d(x, kernel, strides=2), images, (4, 2), stride=2, margin=1
    )
    assert strided < 1e-6
    ramp = jnp.arange(16, dtype=jnp.float32).reshape(1, 16, 1, 1)
    error = equivariance_error(lambda x: ramp + 0 * x, images, (2, 0))
    # Rows 2 to 15 are off by 2 from the shifted ramp 0 to 13.
    assert error == pytest.approx(2 / np.sqrt((np.arange(14) ** 2).mean()), rel=1e-5)


def test_shifts_that_are_no_multiple_of_the_stride_are_refused():
    images = jax.random.normal(jax.random.key(0), (1, 12, 12, 1))
    with pytest.raises(ValueError, match="no multiple of the stride 2"):
        equivariance_error(lambda x: ops.max_pool(x, 2), images, (1, 0), stride=2)
    with pytest.raises(ValueError, match="leave nothing"):
        equivariance_error(lambda x: ops.max_pool(x, 2), images, (4, 0), stride=2, margin=3)


def test_layers_of_a_model_are_measured_by_name():
    model = PlainNet()
    variables, images = initialized(model, (1, 24, 24, 3), train=False)
    error = layer_equivariance(
        model, variables, images, "shared/Conv_0#2", (4, 2), stride=2, margin=3
    )
    assert error < 1e-5


def test_quarter_turns_shifts_and_enlargements_move_pixels():
    images = np.random.default_rng(0).normal(size=(2, 5, 5, 3)).astype(np.float32)
    turned = transform_images(images, "rotation", 90.0)
    np.testing.assert_allclose(turned, np.rot90(images, axes=(1, 2)), atol=1e-5)
    moved = transform_images(images, "shift", 2.0, fill=7.0)
    np.testing.assert_allclose(moved[:, :, 2:], images[:, :, :3], atol=1e-6)
    np.testing.assert_array_equal(moved[:, :, :2], 7)
    doubled = transform_images(images, "scale", 2.0)
    np.testing.assert_allclose(doubled[:, ::2, ::2], images[:, 1:4, 1:4], atol=1e-6)
    with pytest.raises(ValueError, match="'shear' is not known"):
        transform_images(images, "shear", 1.0)


def test_invariance_curve_counts_right_answers():
    class LeftOrRight(linen.Module):
        """Class 1 where the right half is brighter."""

        @linen.compact
        def __call__(self, x):
            halves = x.reshape(x.shape[0], 4, 2, 2).sum(axis=(1, 3))
            return halves * self.param("scale", linen.initializers.ones, (1, 1))

    images = np.zeros((2, 4, 4, 1), np.float32)
    images[0, :, 1] = 1
    images[1, :, 2] = 1
    model = LeftOrRight()
    variables = model.init(jax.random.key(0), images)
    curve = invariance_curve(model, variables, images, np.array([0, 1]), "shift", [0, 1, -1])
    np.testing.assert_allclose(curve.accuracy, [1, 0.5, 0.5])
    right = np.exp(4) / (1 + np.exp(4))
    assert curve.probability[0] == pytest.approx(right, rel=1e-5)


def test_dead_units_are_those_that_never_fire():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            bias = linen.initializers.constant(jnp.array([0.0, -100.0, 0.0]))
            x = linen.relu(linen.Conv(3, (3, 3), name="conv", bias_init=bias)(x))
            x = ops.relu(
                linen.Dense(4, name="dense", bias_init=linen.initializers.constant(-1e3))(x)
            )
            return jnp.maximum(x, 5.0)

    variables, images = initialized(Net(), (4, 6, 6, 2))
    dead = dead_units(Net(), variables, images)
    assert {name: d.tolist() for name, d in dead.items()} == {
        "conv": [False, True, False],
        "dense": [True] * 4,
    }


def test_a_unit_that_fires_for_one_image_of_many_lives():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.relu(x * self.param("one", linen.initializers.ones, (1, 1)))

    # The last but one image of the second batch turns unit 2 on.
    images = np.full((100, 3), -1.0, np.float32)
    images[98, 2] = 0.5
    variables = Net().init(jax.random.key(0), images)
    (dead,) = dead_units(Net(), variables, images).values()
    assert dead.tolist() == [True, True, False]


def test_layer_signals_of_a_dense_layer_are_the_softmax_gradient():
    class Two(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.Dense(4, name="b")(linen.Dense(8, name="a")(x))

    model = Two()
    variables, inputs = initialized(model, (16, 6))
    labels = np.arange(16) % 4
    first, last = layer_signals(model, variables, inputs, labels)
    hidden = np.asarray(inputs) @ np.asarray(variables["params"]["a"]["kernel"])
    weights = np.asarray(variables["params"]["b"]["kernel"])
    logits = hidden @ weights
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gradient = softmax - np.eye(4)[labels]
    assert (first.name, last.name) == ("a", "b")
    assert last.gradient == pytest.approx(np.sqrt((gradient**2).mean()), rel=1e-4)
    assert first.gradient == pytest.approx(np.sqrt(((gradient @ weights.T) ** 2).mean()), rel=1e-4)
    assert first.std == pytest.approx(hidden.std(), rel=1e-4)
    assert first.zeros == pytest.approx((hidden <= 0).mean())


def test_depth_study_shows_what_initializers_do():
    choices = initializers()

    def study(activation, name):
        return depth_study(activation, choices[name], jax.random.key(0), depth=10, width=128)

    # The same weights everywhere keep all units the same.
    assert study(jnp.tanh, "constant 0.01").variety[1:].max() < 1e-3
    # Each layer multiplies the spread by 0.01 sqrt(128).
    small = study(lambda x: x, "N(0, 0.01²)")
    expected = (0.01 * np.sqrt(128)) ** np.arange(1, 11)
    np.testing.assert_allclose(small.std, expected, rtol=0.3)
    assert study(jnp.tanh, "N(0, 1)").saturated.min() > 0.6
    # He et al.: half of the units are off, and twice the variance makes up for it.
    he = study(jax.nn.relu, "He")
    size = np.hypot(he.mean, he.std)
    assert 0.5 < size[-1] / size[0] < 2
    assert study(jax.nn.relu, "LeCun").std[-1] < 0.2 * he.std[-1]
    # 1.7159 tanh(2x/3) keeps a spread of about 1 where tanh loses it.
    scaled, plain = study(ops.scaled_tanh, "LeCun"), study(jnp.tanh, "LeCun")
    assert scaled.std[-1] > 1.5 * plain.std[-1]


def test_max_batch_fits_and_one_eighth_more_does_not():
    model = linen.Sequential(
        [linen.Conv(8, (3, 3)), linen.relu, lambda x: x.mean(axis=(1, 2)), linen.Dense(4)]
    )
    fit = max_batch(model, 20_000_000, (16, 16, 3), small_batches=(4, 8))
    assert 0.9 * 20_000_000 <= fit.step_bytes <= 20_000_000
    more = training_step_bytes(model, (16, 16, 3), fit.batch * 9 // 8)
    assert more > 20_000_000
    with pytest.raises(ValueError, match="a training step with one image needs"):
        max_batch(model, 1000, (16, 16, 3), small_batches=(1, 2))


def test_embeddings_keep_clusters_apart():
    rng = np.random.default_rng(0)
    centers = np.repeat(np.eye(3, 20) * 10, 12, axis=0)
    features = (centers + rng.normal(size=(36, 20))).reshape(36, 4, 5)
    for method in ("pca", "tsne"):
        places = embed_features(features, method, perplexity=8)
        assert places.min() == 0 and places.max() == 1
        distances = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.eye(36) * 9
        assert (distances.argmin(axis=1) // 12 == np.arange(36) // 12).all()
    with pytest.raises(ValueError, match="at least 3 images"):
        embed_features(features[:2])


def test_canvas_places_pictures_without_overlap():
    places = np.array([[0, 0], [1, 1], [0.01, 0.0]], np.float32)
    drawn = canvas(places, np.stack([np.full((4, 4, 1), v) for v in (0.1, 0.2, 0.3)]), size=20)
    assert drawn[-1, 0, 0] == pytest.approx(0.1) and drawn[0, -1, 0] == pytest.approx(0.2)
    assert not np.isclose(drawn, 0.3).any()
