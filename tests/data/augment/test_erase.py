import jax.numpy as jnp
import numpy as np

from tests.data.augment.images import augment_many

RNG = np.random.default_rng(0)


def many(policy, image):
    return augment_many(policy, jnp.asarray(image), 300)


def test_cutout_covers_a_square_around_any_pixel():
    image = RNG.uniform(0.5, 1, size=(5, 6, 2)).astype(np.float32)
    expected = set()
    for row in range(5):
        for column in range(6):
            covered = image.copy()
            covered[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = (0.1, 0.2)
            expected.add(covered.tobytes())
    results = many("cutout(3, fill=(0.1, 0.2))", image)
    assert {result.tobytes() for result in results} == expected


def test_erasing_fills_a_rectangle_of_its_area_and_aspect_with_noise():
    image = np.full((20, 16, 3), 2.0, np.float32)
    results = many("random_erasing(1, area=(0.1, 0.3), aspect=(0.5, 2))", image)
    for result in results:
        changed = (result != 2).all(axis=-1)
        np.testing.assert_array_equal(changed, (result != 2).any(axis=-1))
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        # All pixels within its bounds are changed, so that it is one rectangle.
        assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        height, width = len(rows), len(columns)
        # Sides are rounded to pixels.
        assert (height - 0.5) * (width - 0.5) < 0.3 * 320
        assert (height + 0.5) * (width + 0.5) > 0.1 * 320
        assert (height + 0.5) / (width - 0.5) > 0.5
        assert (height - 0.5) / (width + 0.5) < 2
    noise = results[results != 2]
    assert 0 <= noise.min() < 0.01
    assert 0.99 < noise.max() < 1
    assert abs(noise.mean() - 0.5) < 0.01
    places = (results != 2).any(axis=-1).mean(axis=0)
    assert places[10].min() > 0.02  # from the first column to the last
    assert places[:, 8].min() > 0.02


def test_erasing_happens_with_its_probability():
    results = many("random_erasing(0.25)", np.full((8, 8, 1), 2.0, np.float32))
    changed = (results != 2).any(axis=(1, 2, 3)).mean()
    assert 0.17 < changed < 0.33
