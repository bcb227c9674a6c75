"""Equivariance, invariance, signals and embeddings where they have a closed form."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.analysis.behavior.embedding import canvas, embed_features
from cnnjax.analysis.behavior.equivariance import equivariance_error, layer_equivariance
from cnnjax.analysis.behavior.invariance import (
    invariance_curve,
    invariance_curves,
    transform_images,
)
from cnnjax.analysis.behavior.signals import depth_study, initializers, layer_signals
from cnnjax.analysis.cost.batch_size import max_batch, training_step_bytes
from cnnjax.analysis.cost.kept import kept_bytes
from tests.analysis.nets import initialized


def _images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shift", [(0, 0), (2, -1), (-3, 0)])
def test_the_identity_is_equivariant(shift):
    assert equivariance_error(lambda x: x, _images(2, 8, 8, 1), shift) == 0


def test_the_error_is_a_share_of_the_output():
    """f flips its input: what moves down should move up."""
    images = np.zeros((1, 6, 1, 1), np.float32)
    images[0, 2] = 5.0
    error = equivariance_error(lambda x: x[:, ::-1], images, (1, 0))
    # The flipped point is at row 3; it should move to 4 and moves to 2: two errors of 5 to one 5.
    assert error == pytest.approx(np.sqrt(2))


def test_outputs_of_zeros_have_no_error():
    assert equivariance_error(lambda x: 0 * x, _images(1, 4, 4, 1), (1, 1)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "stride 0 must be at least 1"),
        ({"margin": -1}, "margin -1 at least 0"),
        ({"stride": 2}, r"shift \(1, 0\) is no multiple of the stride 2"),
        ({"margin": 2}, "margin 2 and shift .* leave nothing"),
    ],
)
def test_strides_and_margins_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        equivariance_error(lambda x: x, _images(1, 4, 4, 1), (1, 0), **options)


def test_layers_without_maps_cannot_be_shifted():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.Dense(2, name="head")(x.reshape(x.shape[0], -1))

    variables, images = initialized(Net(), (1, 4, 4, 1))
    with pytest.raises(ValueError, match=r"shape \(1, 2\); expected maps"):
        layer_equivariance(Net(), variables, images, "head", (1, 0))
    with pytest.raises(KeyError, match="did you mean head"):
        layer_equivariance(Net(), variables, images, "heat", (1, 0))


@pytest.mark.parametrize(("change", "amount"), [("shift", 0.0), ("rotation", 0.0), ("scale", 1.0)])
def test_the_neutral_amount_changes_nothing(change, amount):
    images = _images(2, 5, 6, 3)
    np.testing.assert_allclose(transform_images(images, change, amount), images, atol=1e-5)


def test_half_a_pixel_is_the_mean_of_two():
    images = _images(1, 3, 6, 2)
    moved = transform_images(images, "shift", 0.5)
    np.testing.assert_allclose(
        moved[:, :, 1:], (images[:, :, 1:] + images[:, :, :-1]) / 2, atol=1e-5
    )


def test_a_half_turn_reverses_rows_and_columns():
    images = _images(1, 5, 8, 1)
    turned = transform_images(images, "rotation", 180.0)
    np.testing.assert_allclose(turned, images[:, ::-1, ::-1], atol=1e-4)


@pytest.mark.parametrize("amount", [0.0, -2.0])
def test_enlargements_are_above_0(amount):
    with pytest.raises(ValueError, match=f"factor of enlargement {amount:g}; give one above 0"):
        transform_images(_images(1, 4, 4, 1), "scale", amount)


class Brighter(linen.Module):
    """Logits 0 and the sum of the pixels."""

    @linen.compact
    def __call__(self, x):
        weight = self.param("weight", linen.initializers.ones, (1, 1))
        total = x.sum(axis=(1, 2, 3))[:, None] * weight
        return jnp.concatenate([jnp.zeros_like(total), total], axis=1)


def test_what_comes_in_has_the_value_of_fill():
    images = np.ones((4, 2, 2, 1), np.float32)
    variables = Brighter().init(jax.random.key(0), images)
    labels = np.array([1, 1, 0, 1])
    (curve,) = invariance_curves(
        Brighter(), variables, images, labels, {"shift": [0, 1, 2]}, fill=-2.0
    )
    # Sums of 4, 2 - 4 and -8: class 1 at first, then class 0.
    np.testing.assert_allclose(curve.accuracy, [0.75, 0.25, 0.25])
    ones = 1 / (1 + np.exp(-np.array([4.0, -2.0, -8.0])))
    np.testing.assert_allclose(curve.probability, 0.75 * ones + 0.25 * (1 - ones), rtol=1e-5)


def test_changes_that_are_not_known_are_refused():
    images = np.ones((1, 2, 2, 1), np.float32)
    variables = Brighter().init(jax.random.key(0), images)
    with pytest.raises(ValueError, match="change 'shear' is not known"):
        invariance_curve(Brighter(), variables, images, np.array([0]), "shear", [1.0])
    with pytest.raises(ValueError, match=r"images of shape \(2, 2, 1\)"):
        invariance_curve(Brighter(), variables, images[0], np.array([0]), "shift", [1.0])


def test_no_change_and_no_amount_have_empty_curves():
    images = np.ones((1, 2, 2, 1), np.float32)
    variables = Brighter().init(jax.random.key(0), images)
    assert invariance_curves(Brighter(), variables, images, np.array([0]), {}) == []
    (curve,) = invariance_curves(Brighter(), variables, images, np.array([0]), {"shift": []})
    assert curve.accuracy.shape == curve.amounts.shape == (0,)


def test_signals_of_orthogonal_layers_keep_their_size():
    """An orthogonal matrix keeps every length, forwards and backwards."""

    def orthogonal(key, shape, dtype):
        return jnp.linalg.qr(jax.random.normal(key, shape))[0].astype(dtype)

    study = depth_study(lambda x: x, orthogonal, jax.random.key(0), depth=4, width=16, batch=64)
    size = np.hypot(study.mean, study.std)
    np.testing.assert_allclose(size, size[0], rtol=1e-4)
    np.testing.assert_allclose(study.gradient, study.gradient[-1], rtol=1e-4)
    assert study.gradient[-1] == pytest.approx(1, abs=0.1)
    # The identity is never saturated.
    np.testing.assert_array_equal(study.saturated, 0)


def test_initializers_have_their_published_spread():
    """LeCun: 1/n; Glorot: 2/(n + n); He: 2/n, of a square layer of n units."""
    spreads = {
        name: float(jnp.std(make(jax.random.key(0), (256, 256), jnp.float32)))
        for name, make in initializers().items()
    }
    expected = {
        "constant 0.01": 0,
        "N(0, 0.01²)": 0.01,
        "N(0, 1)": 1,
        "LeCun": 1 / 16,
        "Glorot": 1 / 16,
        "He": np.sqrt(2) / 16,
    }
    assert list(spreads) == list(expected)
    np.testing.assert_allclose(
        list(spreads.values()), list(expected.values()), rtol=0.02, atol=1e-6
    )


def test_a_layer_called_twice_has_two_signals():
    class Twice(linen.Module):
        @linen.compact
        def __call__(self, x):
            layer = linen.Dense(3, use_bias=False, name="layer")
            return layer(layer(x))

    variables, inputs = initialized(Twice(), (5, 3))
    first, second = layer_signals(Twice(), variables, inputs, np.array([0, 1, 2, 0, 1]))
    kernel = np.asarray(variables["params"]["layer"]["kernel"], np.float64)
    once = np.asarray(inputs) @ kernel
    assert (first.name, second.name) == ("layer", "layer#2")
    assert first.mean == pytest.approx(once.mean(), rel=1e-4, abs=1e-6)
    assert second.std == pytest.approx((once @ kernel).std(), rel=1e-4)


def test_the_plane_of_pca_is_that_of_the_singular_vectors():
    features = _images(20, 6) * np.array([5, 3, 1, 0.1, 0.1, 0.1], np.float32)
    places = embed_features(features, "pca")
    left, sizes, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    for axis in range(2):
        expected = left[:, axis] * sizes[axis]
        expected = (expected - expected.min()) / np.ptp(expected)
        found = places[:, axis]
        # A singular vector has no sign.
        assert min(np.abs(found - expected).max(), np.abs(1 - found - expected).max()) < 1e-3


def test_features_of_one_number_lie_on_a_line():
    places = embed_features(np.array([[0.0], [1.0], [4.0]]), "pca")
    assert sorted(places[:, 0].tolist()) in ([0, 0.25, 1], [0, 0.75, 1])
    np.testing.assert_array_equal(places[:, 1], 0)


@pytest.mark.parametrize(
    ("shape", "method", "message"),
    [
        ((2, 4), "pca", r"shape \(2, 4\); expected a row for each of at least 3 images"),
        ((4,), "pca", r"shape \(4,\)"),
        ((4, 2), "umap", "method 'umap'; there are 'pca' and 'tsne'"),
    ],
)
def test_features_and_methods_that_do_not_fit_are_refused(shape, method, message):
    with pytest.raises(ValueError, match=message):
        embed_features(np.zeros(shape), method)


def test_pictures_are_drawn_at_their_corners_and_the_first_one_stays():
    places = np.array([[0, 0], [1, 0], [0.5, 1], [0, 0]], np.float32)
    pictures = np.stack([np.full((2, 4, 3), value) for value in (0.1, 0.2, 0.3, 0.4)])
    drawn = canvas(places, pictures, size=12)
    assert drawn.shape == (12, 12, 3)
    np.testing.assert_allclose(drawn[10:, :4], 0.1)
    np.testing.assert_allclose(drawn[10:, 8:], 0.2)
    np.testing.assert_allclose(drawn[:2, 4:8], 0.3)
    assert (drawn == 1).mean() == 1 - 3 * 8 / 144


@pytest.mark.parametrize(
    ("places", "size", "message"),
    [
        ([[0.0, 0.0]], 3, "pictures of 4x4 do not fit a canvas of 3x3"),
        ([[0.0, 1.5]], 20, "a place is not in 0..1"),
        ([[0.0, np.nan]], 20, "a place is not in 0..1"),
    ],
)
def test_pictures_that_do_not_fit_the_canvas_are_refused(places, size, message):
    with pytest.raises(ValueError, match=message):
        canvas(np.array(places, np.float32), np.zeros((1, 4, 4, 1)), size=size)


def test_a_step_has_room_for_its_state_and_its_images():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.Dense(4)(x.reshape(x.shape[0], -1))

    # Kernel 192 x 4 and bias, with momentum; images of 192 values and labels; 4 bytes each.
    state = 2 * 4 * (192 * 4 + 4)
    few, many = (training_step_bytes(Net(), (8, 8, 3), batch) for batch in (4, 64))
    assert few >= state + 4 * 4 * 193
    assert many - few >= 60 * 4 * 193
    with pytest.raises(ValueError, match="batch 0 is below 1"):
        training_step_bytes(Net(), (8, 8, 3), 0)


@pytest.mark.parametrize("small", [(4, 4), (0, 4)])
def test_two_sizes_are_needed_for_a_line(small):
    with pytest.raises(ValueError, match="must be two sizes above 0"):
        max_batch(linen.Dense(2), 10**6, (4,), small_batches=small)


def test_layers_keep_what_their_gradient_needs():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.Conv(8, (3, 3), use_bias=False, name="conv")(x)
            x = x.reshape(x.shape[0], -1)
            x = linen.Dense(16, use_bias=False, name="square")(x) ** 2
            return linen.Dense(2, use_bias=False, name="head")(x)

    images = jax.ShapeDtypeStruct((1, 4, 4, 3), jnp.float32)
    variables = jax.eval_shape(lambda x: Net().init(jax.random.key(0), x), images)
    kept = kept_bytes(Net(), variables, images, {}, {"conv", "square", "head"})
    # A kernel's gradient needs its input; the square's also the number that is squared.
    assert kept == {"input": 4 * 48, "conv": 4 * 128, "square": 4 * (16 + 16)}


def test_what_is_kept_counts_with_the_layer_before():
    """Without names of layers, all is kept by the input."""
    images = jax.ShapeDtypeStruct((2, 5), jnp.float32)
    model = linen.Sequential([linen.Dense(3), jnp.tanh, linen.Dense(2)])
    variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), images)
    by_layer = kept_bytes(model, variables, images, {}, {"layers_0", "layers_2"})
    together = kept_bytes(model, variables, images, {}, ())
    assert set(by_layer) == {"input", "layers_0"} and set(together) == {"input"}
    assert sum(by_layer.values()) == together["input"]
    assert by_layer["input"] == 4 * 2 * 5
