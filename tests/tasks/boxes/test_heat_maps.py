"""Targets, losses and peaks of center networks, against loops and moved boxes."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.tasks.boxes import heat_maps
from cnnjax.tasks.boxes.average_precision import overlap_matrix


@pytest.mark.parametrize("overlap", [0.3, 0.7])
@pytest.mark.parametrize("sides", [(8.0, 8.0), (3.0, 20.0), (1.0, 1.5)])
def test_corners_may_move_by_the_radius_and_no_further(sides, overlap):
    radius = float(heat_maps.gaussian_radius(jnp.array(sides), overlap))
    box = np.array([[0.0, 0.0, *sides]])

    def least(moves):
        corners = np.array(list(itertools.product([-moves, 0.0, moves], repeat=4))) + box
        kept = corners[(corners[:, 2:] > corners[:, :2]).all(axis=1)]
        return overlap_matrix(kept, box).min()

    assert least(radius) >= overlap - 1e-5
    assert least(radius * 1.02) < overlap


def objects(seed=0):
    """Returns boxes of two images on 32x48 pixels, the last slots empty."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 20, (2, 4, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(3, 20, (2, 4, 2))], axis=-1)
    boxes = np.minimum(boxes, [32, 48, 32, 48]).astype(np.float32)
    boxes[0, 3] = 0
    labels = np.array([[0, 1, 1, 0], [2, 2, 2, 2]], np.int32)
    return boxes, labels, np.array([4, 3], np.int32)


def centers_of(boxes, labels, count, stride=(4.0, 4.0), size=(8, 12)):
    real = heat_maps.real_boxes(jnp.asarray(boxes), jnp.asarray(count))
    find = jax.jit(functools.partial(heat_maps.find_centers, stride=stride, size=size))
    return find(jnp.asarray(boxes), jnp.asarray(labels), real)


def test_heat_is_one_at_centers_and_a_cut_gaussian_around_them():
    boxes, labels, count = objects()
    centers = centers_of(boxes, labels, count)
    heat = jax.jit(lambda c: heat_maps.draw_heat(c, (8, 12), 3))(centers)
    expected = np.zeros((2, 8, 12, 3))
    for image, slot in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]:
        top, left, bottom, right = boxes[image, slot] / 4.0
        row, column = int((top + bottom) / 2), int((left + right) / 2)
        reach = int(heat_maps.gaussian_radius(jnp.array([bottom - top, right - left])))
        for i in range(max(0, row - reach), min(8, row + reach + 1)):
            for j in range(max(0, column - reach), min(12, column + reach + 1)):
                distance = (i - row) ** 2 + (j - column) ** 2
                value = np.exp(-distance / (2 * ((2 * reach + 1) / 6) ** 2))
                place = (image, i, j, labels[image, slot])
                expected[place] = max(expected[place], value)
    np.testing.assert_allclose(heat, expected, atol=1e-6)
    assert (np.asarray(heat) == 1).sum() == 6
    assert centers.real.tolist() == [[True, True, True, False], [True, True, True, False]]


def test_the_focal_loss_is_its_definition():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 3, 4, 2))
    heat = np.where(rng.uniform(size=logits.shape) < 0.2, 1, rng.uniform(0, 0.95, logits.shape))
    p = 1 / (1 + np.exp(-logits))
    terms = np.where(
        heat == 1, -((1 - p) ** 2) * np.log(p), -((1 - heat) ** 4) * p**2 * np.log(1 - p)
    )
    found = jax.jit(heat_maps.heat_losses)(
        jnp.asarray(logits, jnp.float32), jnp.asarray(heat, jnp.float32)
    )
    np.testing.assert_allclose(found, terms.sum(axis=(1, 2, 3)), rtol=1e-5)
    # Certain and wrong, a logit of 200 has a finite loss and gradient.
    extreme = jnp.full((1, 1, 1, 1), 200.0)
    loss = jax.jit(jax.value_and_grad(lambda x: heat_maps.heat_losses(x, x * 0).sum()))
    value, gradient = loss(extreme)
    assert float(value) == pytest.approx(200)
    assert float(gradient[0, 0, 0, 0]) == pytest.approx(1)


def test_peaks_of_drawn_objects_are_their_boxes():
    boxes, labels, count = objects(1)
    centers = centers_of(boxes, labels, count)
    heat = jax.jit(lambda c: heat_maps.draw_heat(c, (8, 12), 3))(centers)
    maps = np.zeros((2, 8, 12, 4), np.float32)
    for image, slot in itertools.product(range(2), range(4)):
        if centers.real[image, slot]:
            row, column = centers.cells[image, slot]
            maps[image, row, column] = [*centers.sides[image, slot], *centers.offsets[image, slot]]
    sides, offsets = jnp.asarray(maps[..., :2]), jnp.asarray(maps[..., 2:])
    peaks = jax.jit(heat_maps.find_peaks)(heat, sides, offsets)
    for image in range(2):
        found = np.asarray(peaks.scores[image]) == 1
        pixels = np.asarray(peaks.boxes[image])[found] * [32, 48, 32, 48]
        real = np.asarray(centers.real[image])
        expected = boxes[image][real]
        assert found.sum() == len(expected)
        order, other = np.lexsort(pixels.T), np.lexsort(expected.T)
        np.testing.assert_allclose(pixels[order], expected[other], atol=1e-3)
        np.testing.assert_array_equal(
            np.asarray(peaks.labels[image])[found][order], labels[image][real][other]
        )
    # Beyond the peaks, slots are empty.
    assert (np.asarray(peaks.labels)[np.asarray(peaks.scores) == 0] == -1).all()


def test_neighbors_of_a_peak_are_suppressed():
    heat = np.zeros((1, 5, 6, 2), np.float32)
    heat[0, 2, 2, 0], heat[0, 2, 3, 0], heat[0, 3, 3, 1], heat[0, 0, 5, 0] = 0.9, 0.8, 0.7, 0.3
    ones = jnp.ones((1, 5, 6, 2))
    find = jax.jit(functools.partial(heat_maps.find_peaks, most=4))
    peaks = find(jnp.asarray(heat), ones, ones * 0.5)
    np.testing.assert_allclose(peaks.scores[0], [0.9, 0.7, 0.3, 0], atol=1e-6)
    assert peaks.labels[0].tolist() == [0, 1, 0, -1]
    np.testing.assert_allclose(
        peaks.boxes[0, 0], np.array([2, 2, 3, 3]) / np.array([5, 6, 5, 6]), atol=1e-6
    )
