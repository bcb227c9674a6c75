import colorsys

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from cnnjax.data.augment.color import (
    IMAGENET_EIGENVALUES,
    IMAGENET_EIGENVECTORS,
    color_basis,
    turn_hue,
)
from tests.data.augment.images import augment_many

RNG = np.random.default_rng(0)
STORED = RNG.integers(0, 256, size=(6, 5, 3)).astype(np.uint8)
IMAGE = jnp.asarray(STORED / np.float32(255))


def many(policy, image=IMAGE, count=100):
    return augment_many(policy, image, count)


@pytest.mark.parametrize(
    ("name", "enhance"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ],
)
def test_jitter_is_pillows_enhancement_by_factors_within_its_bounds(name, enhance):
    factors = np.linspace(0.6, 1.4, 401)
    enhancer = enhance(Image.fromarray(STORED))
    pillow = np.stack([np.asarray(enhancer.enhance(factor)) for factor in factors]) / 255
    results = many(f"color_jitter({name}=0.4)")
    distances = np.abs(pillow[None] - results[:, None]).max(axis=(2, 3, 4))
    # Pillow rounds to integers, up to twice.
    assert distances.min(axis=1).max() < 2.5 / 255
    drawn = factors[distances.argmin(axis=1)]
    assert drawn.min() < 0.65
    assert drawn.max() > 1.35


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.25, 1.0])
def test_turning_the_hue_is_that_of_hsv(turn):
    def turned(pixel):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        return colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)

    grays = np.linspace(0, 1, 5)[:, None] * np.ones((1, 3))
    pixels = np.concatenate([RNG.uniform(size=(40, 3)), grays, np.eye(3)])
    result = turn_hue(jnp.asarray(pixels[None], jnp.float32), turn)[0]
    np.testing.assert_allclose(result, [turned(pixel) for pixel in pixels], atol=1e-5)


def test_hue_keeps_the_brightest_and_the_darkest_value_of_each_pixel():
    results = many("color_jitter(hue=0.5)", count=10)
    for reduce in (np.max, np.min):
        expected = np.broadcast_to(reduce(IMAGE, axis=-1), (10, 6, 5))
        np.testing.assert_allclose(reduce(results, axis=-1), expected, atol=1e-6)
    assert np.abs(results - np.asarray(IMAGE)).max(axis=(1, 2, 3)).min() > 0.01


def test_pca_color_adds_one_color_with_the_covariance_of_its_basis():
    added = many("pca_color(0.1)", count=20000) - np.asarray(IMAGE)
    np.testing.assert_allclose(added, np.broadcast_to(added[:, :1, :1], added.shape), atol=1e-6)
    colors = added[:, 0, 0].astype(np.float64)
    vectors, values = np.array(IMAGENET_EIGENVECTORS), np.array(IMAGENET_EIGENVALUES)
    expected = vectors @ np.diag((0.1 * values) ** 2) @ vectors.T
    np.testing.assert_allclose(np.cov(colors, rowvar=False), expected, rtol=0.05, atol=1e-7)
    assert np.abs(colors.mean(axis=0)).max() < 1e-3


def test_the_published_basis_is_orthonormal():
    vectors = np.array(IMAGENET_EIGENVECTORS)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=2e-3)


def test_the_basis_of_a_set_diagonalizes_its_covariance():
    images = RNG.integers(0, 256, size=(3, 4, 4, 3)).astype(np.uint8)
    images[..., 1] = images[..., 0] // 2
    values, vectors = color_basis(images)
    pixels = images.reshape(-1, 3) / 255
    deviations = pixels - pixels.mean(axis=0)
    covariance = deviations.T @ deviations / (len(pixels) - 1)
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, covariance, atol=1e-12)
    assert (np.diff(values) <= 0).all()


def test_autocontrast_is_pillows():
    dull = (STORED // 3 + 40).astype(np.uint8)
    expected = np.asarray(ImageOps.autocontrast(Image.fromarray(dull))) / 255
    result = many("autocontrast(1)", jnp.asarray(dull / np.float32(255)), 1)[0]
    np.testing.assert_allclose(result, expected, atol=1 / 255)
    assert result.min() == 0
    assert result.max() == pytest.approx(1)


def test_autocontrast_leaves_one_color_alone():
    plain = jnp.full((3, 3, 3), 0.3)
    np.testing.assert_allclose(many("autocontrast(1)", plain, 1)[0], plain, atol=1e-7)


@pytest.mark.parametrize(
    "policy", ["color_jitter(hue=0.1)", "color_jitter(0, 0, 0.1)", "pca_color"]
)
def test_colors_of_gray_images_cannot_change(policy):
    with pytest.raises(ValueError, match="the images have 1 channels, not 3"):
        many(policy, IMAGE[..., :1])


def test_gray_images_have_brightness_and_contrast():
    results = many("color_jitter(0.2, 0.2)", IMAGE[..., :1])
    assert results.shape == (100, 6, 5, 1)
    assert 0 <= results.min() < results.max() <= 1
