"""Batches of the speedrun: order, shifts and mirroring."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.speedrun.batches import (
    Batches,
    draw_batches,
    pad_by_reflection,
    take_batch,
    vary_colors,
)

draw = jax.jit(draw_batches, static_argnums=(1, 2, 3, 4, 5, 6))


def test_every_epoch_shows_each_image_once_and_mirrors_it_in_turn():
    examples, epochs = 12, 4
    drawn = draw(jax.random.key(3), examples, 4, 3 * epochs, 2)
    positions = np.asarray(drawn.positions).reshape(epochs, examples)
    mirrored = np.asarray(drawn.mirrored).reshape(epochs, examples)
    by_image = np.empty((epochs, examples), bool)
    for epoch in range(epochs):
        assert sorted(positions[epoch]) == list(range(examples))
        by_image[epoch, positions[epoch]] = mirrored[epoch]
    assert len({tuple(row) for row in positions}) == epochs
    for epoch in range(1, epochs):
        np.testing.assert_array_equal(by_image[epoch], ~by_image[epoch - 1])
    assert 0 < by_image[0].sum() < examples
    shifts = np.asarray(drawn.shifts)
    assert shifts.shape == (3 * epochs, 4, 2) and set(shifts.flat) == {0, 1, 2, 3, 4}


def test_what_is_left_of_an_epoch_is_dropped_and_the_last_epoch_may_be_cut_short():
    positions = np.asarray(draw(jax.random.key(0), 11, 4, 5, 1).positions)
    assert positions.shape == (5, 4)
    for epoch in (positions[:2], positions[2:4], positions[4:]):
        assert len(set(epoch.flat)) == epoch.size


def test_batches_are_cut_from_reflected_images_and_mirrored():
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), np.uint8)
    batch = Batches(
        jnp.array([4, 0, 4]), jnp.array([[0, 4], [2, 2], [3, 1]]), jnp.array([True, False, False])
    )
    found = jax.jit(lambda x, batch: take_batch(pad_by_reflection(x, 2), batch, 2))(images, batch)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    expected = [padded[4, 0:6, 4:11][:, ::-1], padded[0, 2:8, 2:9], padded[4, 3:9, 1:8]]
    assert found.dtype == jnp.uint8
    np.testing.assert_array_equal(found, np.stack(expected))


def test_brightness_and_contrast_vary_within_their_ranges():
    drawn = draw(jax.random.key(3), 40, 20, 6, 2, 0.2, 0.1)
    for values, middle, most in ((drawn.brightness, 0.0, 0.2), (drawn.contrast, 1.0, 0.1)):
        values = np.asarray(values)
        assert values.shape == (6, 20)
        assert np.abs(values - middle).max() <= most
        # A uniform distribution's deviation, with 120 numbers.
        assert values.std() == pytest.approx(most / np.sqrt(3), rel=0.2)
    assert abs(np.corrcoef(np.ravel(drawn.brightness), np.ravel(drawn.contrast))[0, 1]) < 0.4
    images = np.random.default_rng(0).standard_normal((20, 2, 2, 3)).astype(np.float32)
    one = jax.tree.map(lambda a: a[2], drawn)
    added, multiplied = np.asarray(one.brightness), np.asarray(one.contrast)
    expected = [(x + b) * c for x, b, c in zip(images, added, multiplied, strict=True)]
    np.testing.assert_allclose(vary_colors(jnp.asarray(images), one), expected, rtol=1e-6)
    plain = Batches(drawn.positions[2], drawn.shifts[2], drawn.mirrored[2])
    np.testing.assert_array_equal(vary_colors(jnp.asarray(images), plain), images)
