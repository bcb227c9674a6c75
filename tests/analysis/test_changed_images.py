"""Equivariance and invariance: maps and predictions for images that are changed."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.analysis.behavior.equivariance import equivariance_error, layer_equivariance
from cnnjax.analysis.behavior.invariance import (
    invariance_curve,
    invariance_curves,
    transform_images,
)
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
        transform_images(images, "shear", 1.0)  # pyright: ignore[reportArgumentType]


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
        shear: Any = "shear"
        invariance_curve(Brighter(), variables, images, np.array([0]), shear, [1.0])
    with pytest.raises(ValueError, match=r"images of shape \(2, 2, 1\)"):
        invariance_curve(Brighter(), variables, images[0], np.array([0]), "shift", [1.0])


def test_no_change_and_no_amount_have_empty_curves():
    images = np.ones((1, 2, 2, 1), np.float32)
    variables = Brighter().init(jax.random.key(0), images)
    assert invariance_curves(Brighter(), variables, images, np.array([0]), {}) == []
    (curve,) = invariance_curves(Brighter(), variables, images, np.array([0]), {"shift": []})
    assert curve.accuracy.shape == curve.amounts.shape == (0,)
