"""Transforms of single images, against SciPy, closed forms and pixels that can be computed."""

from typing import Any

import jax
import numpy as np
import pytest
import scipy.ndimage

from cnnjax.transfer import domains

RANDOM = np.random.default_rng(0)
GRAY = RANDOM.integers(0, 256, (9, 12, 1), dtype=np.uint8)
RGB = RANDOM.integers(0, 256, (9, 12, 3), dtype=np.uint8)


def changed(transform, image, seed=0):
    result = transform(image, np.random.default_rng(seed))
    assert result.dtype == np.uint8
    return result


def test_inverted_is_255_less_each_value():
    np.testing.assert_array_equal(changed(domains.Inverted(), RGB).astype(int) + RGB, 255)


def test_rgb_repeats_gray_and_keeps_colors():
    np.testing.assert_array_equal(changed(domains.RGB(), GRAY), np.repeat(GRAY, 3, axis=-1))
    np.testing.assert_array_equal(changed(domains.RGB(), RGB), RGB)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("image", [GRAY, RGB], ids=["gray", "rgb"])
def test_blurred_is_scipys_gaussian(image, sigma):
    radius = int(np.ceil(4 * sigma))
    expected = scipy.ndimage.gaussian_filter(
        image.astype(float), (sigma, sigma, 0), mode="nearest", radius=(radius, radius, 0)
    )
    np.testing.assert_array_equal(changed(domains.Blurred(sigma), image), np.rint(expected))


@pytest.mark.parametrize("size", [5, 9, 16])
def test_resized_is_jaxs_linear_interpolation(size):
    image = RANDOM.integers(0, 256, (8, 8, 2), dtype=np.uint8)
    expected = jax.image.resize(image.astype(np.float32), (size, size, 2), method="linear")
    found = changed(domains.Resized(size), image)
    # The two may round a half to different sides.
    np.testing.assert_allclose(found, np.asarray(expected), atol=0.501)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, -1])
def test_quarter_turns_move_pixels_counter_clockwise(turns):
    image = RANDOM.integers(0, 256, (7, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        changed(domains.Rotated(90 * turns), image), np.rot90(image, turns)
    )


@pytest.mark.parametrize("angle", [15, 30, 75, -20])
def test_rotated_is_scipys_bilinear_rotation(angle):
    image = RANDOM.integers(0, 256, (12, 12, 1), dtype=np.uint8)
    framed = np.pad(image[..., 0].astype(float), 2)
    # The frame gives SciPy black pixels around the image.
    expected = scipy.ndimage.rotate(framed, angle, reshape=False, order=1)[2:-2, 2:-2]
    np.testing.assert_allclose(changed(domains.Rotated(angle), image)[..., 0], expected, atol=0.501)


def test_noise_has_the_given_deviation():
    gray = np.full((200, 200, 1), 128, np.uint8)
    noise = changed(domains.Noisy(0.1), gray).astype(float) - 128
    # The standard errors of mean and deviation of 40,000 numbers are 0.13 and 0.09.
    assert abs(noise.mean()) < 0.6
    assert noise.std() == pytest.approx(25.5, abs=0.5)


def test_noise_is_clipped():
    assert changed(domains.Noisy(5.0), np.zeros((20, 20, 1), np.uint8)).max() == 255


def test_colored_images_are_mixtures_of_two_colors_with_contrast():
    image = np.linspace(0, 255, 256).astype(np.uint8).reshape(16, 16, 1)
    for seed in range(20):
        pixels = changed(domains.Colored(0.4), image, seed).reshape(-1, 3).astype(float)
        ground, ink = pixels[0], pixels[-1]
        luminance = (ink - ground) @ [0.299, 0.587, 0.114]
        assert abs(luminance) >= 0.4 * 255 - 1
        share = np.arange(256)[:, None] / 255
        np.testing.assert_allclose(pixels, share * ink + (1 - share) * ground, atol=1.01)


def test_blended_is_the_difference_to_a_cut_of_a_photograph():
    photograph = RANDOM.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    white = changed(domains.Blended((photograph,)), np.full((9, 12, 1), 255, np.uint8))
    black = changed(domains.Blended((photograph,)), np.zeros((9, 12, 1), np.uint8))
    np.testing.assert_array_equal(white, 255 - black)
    cuts = np.lib.stride_tricks.sliding_window_view(photograph, (9, 12, 3))
    assert (cuts == black).all(axis=(-3, -2, -1)).any()
    colored = changed(domains.Blended((photograph,)), RGB)
    np.testing.assert_array_equal(colored, abs(RGB.astype(int) - black))


def test_the_photographs_of_scikit_learn_are_shrunk_by_means_of_blocks():
    whole, small = domains.photographs(), domains.photographs(shrink=4)
    assert [photo.shape for photo in whole] == [(427, 640, 3)] * 2
    assert [photo.shape for photo in small] == [(106, 160, 3)] * 2
    assert small[1][3, 5, 2] == round(whole[1][12:16, 20:24, 2].mean())


def test_photographs_of_a_folder(tmp_path):
    from PIL import Image

    (tmp_path / "deep").mkdir()
    Image.fromarray(RGB).save(tmp_path / "b.png")
    Image.fromarray(GRAY[..., 0]).save(tmp_path / "deep" / "a.png")
    first, second = domains.photographs(tmp_path)
    np.testing.assert_array_equal(first, RGB)
    np.testing.assert_array_equal(second, np.repeat(GRAY, 3, axis=-1))
    (tmp_path / "c.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"c\.jpg cannot be read .*; remove it"):
        domains.photographs(tmp_path)


HALF: Any = 0.5
TEXT: Any = "15"
WRONG = {
    "sigma": (lambda: domains.Blurred(0), "blurred: sigma must be a number above 0, got 0"),
    "flag": (lambda: domains.Noisy(True), "noisy: deviation must be a number above 0, got True"),
    "contrast": (lambda: domains.Colored(1.0), "colored: contrast must be from 0 to 0.8, got 1.0"),
    "size": (lambda: domains.Resized(HALF), "resized: size must be a whole number above 0"),
    "angle": (lambda: domains.Rotated(TEXT), "rotated: angle must be a finite number, got '15'"),
    "colored": (lambda: changed(domains.Colored(), RGB), "images of 3 channels were given"),
    "rgb": (lambda: changed(domains.RGB(), RGB[..., :2]), "images of 2 channels were given"),
    "none": (lambda: domains.Blended(()), "blended: there are no photographs"),
    "gray": (lambda: domains.Blended((GRAY,)), r"uint8 \[height, width, 3\], got uint8 \(9, 12, 1"),
    "small": (lambda: changed(domains.Blended((RGB,)), GRAY[:, :1].repeat(20, 1)), "do not fit"),
    "folder": (lambda: domains.photographs("nowhere"), "nowhere is no folder"),
    "shrink": (lambda: domains.photographs(shrink=500), "shrink=500 leaves nothing"),
    "half": (lambda: domains.photographs(shrink=HALF), "shrink must be a whole number from 1 on"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused(name):
    make, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        make()
