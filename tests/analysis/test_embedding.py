"""Features placed in the plane, and pictures at their places."""

import numpy as np
import pytest

from cnnjax.analysis.behavior.embedding import canvas, embed_features


def _images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


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
