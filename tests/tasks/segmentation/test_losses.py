import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.tasks.segmentation.loss_terms import LossTerm, parse_loss
from cnnjax.tasks.segmentation.losses import image_dice, pixel_cross_entropy, pixel_focal
from tests.tasks.segmentation.pixels import CLASSES, WEIGHTS, cross_entropies, random_batch


def test_cross_entropy_is_minus_the_log_probability_of_the_pixels_class():
    logits, masks = random_batch()
    found = pixel_cross_entropy(jnp.asarray(logits), jnp.asarray(masks))
    np.testing.assert_allclose(found, cross_entropies(logits, masks), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_is_its_equation(gamma):
    logits, masks = random_batch(seed=1)
    losses = cross_entropies(logits, masks)
    found = pixel_focal(jnp.asarray(logits), jnp.asarray(masks), gamma)
    np.testing.assert_allclose(found, (1 - np.exp(-losses)) ** gamma * losses, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weights", [(), WEIGHTS])
def test_dice_is_twice_the_overlap_over_both_sums(weights):
    logits, masks = random_batch(seed=2)
    masks[0][masks[0] == 1] = 2  # the first image lacks a class
    masks[4] = 255  # and the last one has no pixel that counts
    counted = masks < CLASSES
    wide = np.exp(logits.astype(np.float64))
    shares = wide / wide.sum(axis=-1, keepdims=True)
    expected = np.zeros(len(masks))
    for image in range(4):
        losses, used = [], []
        for c in range(CLASSES):
            p, t = shares[image, ..., c][counted[image]], (masks[image] == c)[counted[image]]
            if t.any():
                losses.append(1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1))
                used.append(weights[c] if weights else 1)
        expected[image] = np.average(losses, weights=used)
    found = image_dice(jnp.asarray(logits), jnp.asarray(masks), jnp.asarray(counted), weights)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_gradients_are_finite_where_the_network_is_certain():
    logits = jnp.asarray(np.array([[[[200.0, -200.0]], [[-200.0, 200.0]]]], np.float32))
    masks = jnp.zeros((1, 2, 1), jnp.uint8)

    def total(x):
        dice = image_dice(x, masks, masks < 2).sum()
        return pixel_focal(x, masks, 0.5).sum() + pixel_cross_entropy(x, masks).sum() + dice

    assert np.isfinite(jax.grad(total)(logits)).all()


def test_half_precision_is_widened():
    logits, masks = random_batch()
    half = jnp.asarray(logits, jnp.bfloat16)
    found = pixel_cross_entropy(half, jnp.asarray(masks))
    assert found.dtype == jnp.float32
    expected = cross_entropies(np.asarray(half, np.float32), masks)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


def test_a_sum_of_losses_is_read():
    assert parse_loss("cross_entropy") == (LossTerm("cross_entropy", 1.0),)
    expected = (LossTerm("focal", 1.0), LossTerm("dice", 0.5))
    assert parse_loss("focal + 0.5*dice") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cross_entrpy", "did you mean cross_entropy"),
        ("", "known: cross_entropy, dice, focal"),
        ("dice + dice", "dice twice"),
        ("-1 * dice", "'-1' in '-1 \\* dice' is no factor"),
        ("half * dice", "'half' in"),
        (3, "3 was given"),
    ],
)
def test_other_texts_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_loss(text)
