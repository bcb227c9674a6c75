"""Forms of boxes and their overlaps."""

import jax.numpy as jnp
import numpy as np

from cnnjax.tasks import boxes


def test_forms_of_boxes_go_back_and_forth():
    corners = jnp.asarray(np.random.default_rng(0).uniform(0, 9, (2, 5, 4)), jnp.float32)
    centers = boxes.corners_to_centers(corners)
    np.testing.assert_allclose(boxes.centers_to_corners(centers), corners, atol=1e-5)


def test_overlaps_are_counts_of_shared_pixels():
    rng = np.random.default_rng(1)
    corner = rng.integers(0, 9, (7, 2))
    given = np.concatenate([corner, corner + rng.integers(0, 9, (7, 2))], axis=1)
    masks = np.zeros((7, 20, 20), bool)
    for mask, (top, left, bottom, right) in zip(masks, given, strict=True):
        mask[top:bottom, left:right] = True
    shared = (masks[:, None] & masks).sum(axis=(2, 3))
    union = (masks[:, None] | masks).sum(axis=(2, 3))
    expected = shared / np.maximum(union, 1)
    found = boxes.pairwise_iou(jnp.asarray(given, jnp.float32), jnp.asarray(given, jnp.float32))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(
        boxes.box_areas(jnp.asarray(given, jnp.float32)), masks.sum(axis=(1, 2))
    )


def test_boxes_that_end_before_they_start_have_no_area():
    turned = jnp.array([[5.0, 5.0, 3.0, 9.0], [1.0, 1.0, 1.0, 4.0]])
    assert boxes.box_areas(turned).tolist() == [0, 0]
    assert boxes.box_iou(turned, turned).tolist() == [0, 0]
