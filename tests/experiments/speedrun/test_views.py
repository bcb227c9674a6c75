"""Six views of each test image, and the counts of right ones."""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.speedrun import views


def test_views_are_averaged_with_the_stated_weights():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((3, 5, 5, 2)).astype(np.float32)
    weights = rng.standard_normal((50, 4)).astype(np.float32)

    def predict(x):
        # Not linear, so that the mean of the images would not do.
        return np.tanh(np.asarray(x).reshape(len(x), -1) @ weights)

    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    up, down = padded[:, :5, :5], padded[:, 2:, 2:]

    def both(x):
        return (predict(x) + predict(x[:, :, ::-1])) / 2

    plain, mean = jax.jit(
        lambda x: views.view_logits(lambda x: jnp.tanh(x.reshape(len(x), -1) @ weights), x)
    )(images)
    np.testing.assert_allclose(plain, predict(images), rtol=2e-4, atol=1e-5)
    expected = both(images) / 2 + (both(up) + both(down)) / 4
    np.testing.assert_allclose(mean, expected, rtol=2e-4, atol=1e-5)


def test_only_unsure_images_are_looked_at_again():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((10, 4, 4, 1)).astype(np.float32)
    weights = rng.standard_normal((16, 3)).astype(np.float32)
    looked_at = []

    def network(x):
        looked_at.append(len(x))
        return jnp.tanh(x.reshape(len(x), -1) @ weights)

    @jax.jit
    def run(images):
        all_means = views.view_logits(network, images, 1 / 3)[1]
        return *views.unsure_view_logits(network, images, 0.3, 1 / 3), all_means

    plain, mean, all_means = run(images)
    logits = np.tanh(images.reshape(10, -1).astype(np.float64) @ weights)
    np.testing.assert_allclose(plain, logits, rtol=2e-4, atol=1e-5)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    unsure = np.argsort(probabilities.max(axis=1))[:3]
    expected = logits.copy()
    expected[unsure] = all_means[unsure]
    np.testing.assert_allclose(mean, expected, rtol=2e-4, atol=1e-5)
    assert looked_at == [60, 10, 18]
    assert np.abs(all_means - logits).max(axis=1).min() > 1e-3


def test_what_fills_the_last_chunk_up_is_never_right():
    images, labels = np.zeros((5, 2, 2, 3), np.uint8), np.zeros(5, np.int32)
    chunks = views.cut_into_chunks(images, labels, size=3)
    assert chunks.images.shape == (2, 3, 2, 2, 3)
    logits = jnp.tile(jnp.array([1.0, 0.0]), (3, 1))
    assert sum(int(views.count_right(logits, part)) for part in chunks.labels) == 5
