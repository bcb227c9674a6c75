import numpy as np
import pytest
from PIL import Image

from cnnjax import data


def test_resizing_agrees_with_pillow():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (8, 8), dtype=np.uint8)
    ours = data.Preprocess(28, 0, (0.0,), (1.0,)).images(image[None, :, :, None])
    float_image = Image.fromarray(image.astype(np.float32), mode=None)
    theirs = np.asarray(float_image.resize((28, 28), Image.Resampling.BILINEAR)) / 255
    np.testing.assert_allclose(ours[0, :, :, 0], theirs, atol=1e-6)


def test_padding_is_black_and_outside_the_image():
    images = np.full((2, 4, 4, 3), 255, np.uint8)
    padded = data.Preprocess(None, 2, (0.0,) * 3, (1.0,) * 3).images(images)
    assert padded.shape == (2, 8, 8, 3)
    assert float(padded.sum()) == pytest.approx(2 * 4 * 4 * 3)
    assert float(padded[:, 2:6, 2:6].sum()) == pytest.approx(2 * 4 * 4 * 3)


def test_normalising_gives_zero_mean_and_unit_deviation_per_channel():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 6, 6, 3), dtype=np.uint8)
    unit = images / 255
    mean = tuple(unit.mean(axis=(0, 1, 2)))
    std = tuple(unit.std(axis=(0, 1, 2)))
    x = np.asarray(data.Preprocess(None, 0, mean, std).images(images), np.float64)
    np.testing.assert_allclose(x.mean(axis=(0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(axis=(0, 1, 2)), 1, atol=1e-6)


def test_image_shape_tells_what_comes_out():
    preprocess = data.Preprocess(28, 2, (0.0,), (1.0,))
    images = np.zeros((1, 8, 8, 1), np.uint8)
    assert preprocess.images(images).shape[1:] == preprocess.image_shape((8, 8, 1)) == (32, 32, 1)


def test_each_image_gets_a_mean_of_zero_and_a_deviation_of_one():
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3)).astype(np.uint8)
    images[2] = 90  # plain: there is no contrast to normalise
    preprocess = data.Preprocess(None, 0, (0.5,) * 3, (0.1,) * 3, per_image=True)
    result = np.asarray(preprocess.images(images))
    np.testing.assert_allclose(result[:2].mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(result[:2].std(axis=(1, 2, 3)), 1, rtol=1e-5)
    np.testing.assert_allclose(result[2], 0, atol=1e-4)
