from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from cnnjax.data.augment.resample import Turn
from tests.data.augment.images import augment_image, augment_many

RNG = np.random.default_rng(0)
IMAGE = RNG.uniform(size=(7, 9, 3)).astype(np.float32)


def many(policy, image, count=200):
    return augment_many(policy, jnp.asarray(image), count)


def turn(image, angle, factor, moves, fill=0.0):
    return Turn(angle, factor, moves, image.shape[:2], fill).move_image(image)


@pytest.mark.parametrize(
    ("policy", "padded"),
    [
        ("crop(2)", np.pad(IMAGE, ((2, 2), (2, 2), (0, 0)))),
        ("crop(2, 'reflect')", np.pad(IMAGE, ((2, 2), (2, 2), (0, 0)), mode="reflect")),
        (
            "crop(2, fill=(0.1, 0.2, 0.3))",
            np.stack(
                [np.pad(IMAGE[..., c], 2, constant_values=(c + 1) / 10) for c in range(3)], axis=-1
            ),
        ),
    ],
)
def test_crops_are_the_windows_of_the_padded_image(policy, padded):
    windows = {
        padded[top : top + 7, left : left + 9].tobytes() for top in range(5) for left in range(5)
    }
    assert {result.tobytes() for result in many(policy, IMAGE)} == windows


def test_a_flip_mirrors_half_of_the_images_left_to_right():
    results = many("flip", IMAGE)
    mirrored = np.array([np.array_equal(result, IMAGE[:, ::-1]) for result in results])
    assert 70 < mirrored.sum() < 130
    np.testing.assert_array_equal(results[~mirrored], np.stack([IMAGE] * (~mirrored).sum()))
    # Mirroring twice gives the image again.
    np.testing.assert_array_equal(many("flip(1), flip(1)", IMAGE, 1)[0], IMAGE)


def test_resized_crops_are_resizes_of_parts():
    image = RNG.uniform(size=(6, 6, 1)).astype(np.float32)
    results = many("resized_crop(4, area=(0.3, 0.9))", image, 60)
    # Every rectangle of that area, cut out and resized alone; Pillow averages in the same way.
    candidates = []
    for height in range(1, 7):
        for width in range(1, 7):
            for top in range(7 - height):
                for left in range(7 - width):
                    cut = Image.fromarray(image[top : top + height, left : left + width, 0])
                    candidates.append(np.asarray(cut.resize((4, 4), Image.Resampling.BILINEAR)))
    stacked = np.stack(candidates)
    distances = [np.abs(stacked - result[..., 0]).max(axis=(1, 2)).min() for result in results]
    assert max(distances) < 1e-5
    assert len({result.tobytes() for result in results}) > 20


def test_a_resized_crop_that_fits_nowhere_is_the_whole_image():
    # Four times as wide as high, of the whole area: it cannot be within a square.
    image = jnp.asarray(IMAGE[:, :7])
    result = augment_image(
        "resized_crop(area=(1, 1), aspect=(0.25, 0.26))", jax.random.key(0), image
    )
    np.testing.assert_allclose(result, image, atol=1e-6)


@pytest.mark.parametrize(("angle", "factor"), [(0.5, 1.0), (-0.3, 1.4), (0.0, 0.7)])
def test_turning_is_scipys_affine_transform(angle, factor):
    moves = np.array([0.6, -1.3])
    # The map from the result's pixels to the image's: rows count downwards.
    linear = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / factor
    middle = np.array([3.0, 4.0])
    expected = np.stack(
        [
            scipy.ndimage.affine_transform(
                IMAGE[..., channel].astype(np.float64),
                linear,
                middle - linear @ (middle + moves),
                order=1,
                mode="grid-constant",
            )
            for channel in range(3)
        ],
        axis=-1,
    )
    result = turn(jnp.asarray(IMAGE), angle, factor, jnp.asarray(moves, jnp.float32))
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_a_quarter_turn_is_counter_clockwise():
    square = jnp.asarray(IMAGE[:, :7])
    turned = turn(square, np.pi / 2, 1.0, jnp.zeros(2))
    np.testing.assert_allclose(turned, np.rot90(square), atol=1e-5)


def test_what_enters_has_the_fill_color():
    plain = np.full((5, 5, 3), 0.5, np.float32)
    fill: Any = (0.1, 0.2, 0.3)
    moved = turn(jnp.asarray(plain), 0.0, 1.0, jnp.array([2.0, 0.0]), fill)
    np.testing.assert_allclose(moved[:2], np.tile([0.1, 0.2, 0.3], (2, 5, 1)), atol=1e-6)
    np.testing.assert_allclose(moved[2:], plain[2:], atol=1e-6)


def test_affine_draws_within_its_bounds():
    # A ramp shows the move, the turn and the enlargement at its center.
    rows, columns = np.mgrid[-10:11, -10:11].astype(np.float32)
    ramp = np.stack([rows, columns], axis=-1)
    results = many("affine(rotation=30, scale=(0.8, 1.25), shift=2)", ramp)
    gradient = (results[:, 11, 10] - results[:, 9, 10]) / 2  # of the source along rows
    factor = 1 / np.hypot(gradient[:, 0], gradient[:, 1])
    angle = np.degrees(np.arctan2(-gradient[:, 1], gradient[:, 0]))
    assert 0.8 <= factor.min() < 0.85
    assert 1.2 < factor.max() <= 1.2501
    assert -30.01 <= angle.min() < -25
    assert 25 < angle.max() <= 30.01
    moves = np.hypot(*results[:, 10, 10].T) * factor
    assert 1.5 < moves.max() <= np.hypot(2, 2) + 1e-3


def test_a_fill_for_other_channels_is_refused():
    with pytest.raises(ValueError, match=r"fill: .* has 2 values for images of 3 channels"):
        many("crop(2, fill=(0.1, 0.2))", IMAGE)
