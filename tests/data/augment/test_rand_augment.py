"""The changes of RandAugment against Pillow's, and what is drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from cnnjax import data
from cnnjax.data.augment.rand_augment import CHANGES, change_image

PATCHES = np.random.default_rng(0).integers(0, 256, (6, 6, 3)).astype(np.uint8)
PIXELS = np.asarray(Image.fromarray(PATCHES).resize((24, 24), Image.Resampling.BICUBIC))
PICTURE = Image.fromarray(PIXELS)
# One program for all changes.
changed = jax.jit(change_image, static_argnums=3)


def ours(name, strength, fill=0.5):
    image = jnp.asarray(PIXELS, jnp.float32) / 255
    return 255 * np.asarray(changed(CHANGES.index(name), strength, image, fill))


COLORS = {
    "identity": lambda s: PICTURE,
    "autocontrast": lambda s: ImageOps.autocontrast(PICTURE),
    "equalize": lambda s: ImageOps.equalize(PICTURE),
    "posterize": lambda s: ImageOps.posterize(PICTURE, 4 + min(int(5 * s), 4)),
    "solarize": lambda s: ImageOps.solarize(PICTURE, int(np.ceil(255 * s))),
    "brightness": lambda s: ImageEnhance.Brightness(PICTURE).enhance(0.05 + 0.9 * s),
    "color": lambda s: ImageEnhance.Color(PICTURE).enhance(0.05 + 0.9 * s),
    "contrast": lambda s: ImageEnhance.Contrast(PICTURE).enhance(0.05 + 0.9 * s),
    "sharpness": lambda s: ImageEnhance.Sharpness(PICTURE).enhance(0.05 + 0.9 * s),
}


@pytest.mark.parametrize("strength", [0.1, 0.55, 0.9])
@pytest.mark.parametrize("name", COLORS)
def test_colors_are_pillows(name, strength):
    expected = np.asarray(COLORS[name](strength), np.float64)
    # Pillow rounds, of some changes twice.
    np.testing.assert_allclose(ours(name, strength), expected, atol=1.6)
    if name != "identity":
        assert np.abs(expected - PIXELS).max() > 1 or name in ("posterize", "autocontrast")


def affine(*numbers):
    """Returns Pillow's picture whose pixel at (x, y) is that at (ax + by + c, dx + ey + f)."""
    return PICTURE.transform(
        PICTURE.size, Image.Transform.AFFINE, numbers, Image.Resampling.BILINEAR
    )


MOVES = {
    "rotate": lambda s: PICTURE.rotate((2 * s - 1) * 30, Image.Resampling.BILINEAR),
    "shear_x": lambda s: affine(1, 0.3 * (2 * s - 1), -0.3 * (2 * s - 1) * 12, 0, 1, 0),
    "shear_y": lambda s: affine(1, 0, 0, 0.3 * (2 * s - 1), 1, -0.3 * (2 * s - 1) * 12),
    "translate_x": lambda s: affine(1, 0, 24 * 0.3 * (2 * s - 1), 0, 1, 0),
    "translate_y": lambda s: affine(1, 0, 0, 0, 1, 24 * 0.3 * (2 * s - 1)),
}


@pytest.mark.parametrize("strength", [0.2, 0.9])
@pytest.mark.parametrize("name", MOVES)
def test_movements_are_pillows_within_the_image(name, strength):
    expected = np.asarray(MOVES[name](strength), np.float64)
    # The middle, which no movement fills from beyond the edges.
    middle = (slice(9, 15),) * 2
    np.testing.assert_allclose(ours(name, strength)[middle], expected[middle], atol=2)
    assert np.abs(expected[middle] - PIXELS[middle]).max() > 10
    # Beyond the edges is the fill, at one corner at least.
    filled = ours(name, strength, 1.0)
    assert (np.abs(filled - ours(name, strength, 0.0)) > 250).any()


def test_all_changes_are_drawn_with_all_strengths():
    assert {*COLORS, *MOVES} == set(CHANGES) and len(CHANGES) == 14
    policy = data.parse_policy("rand_augment(1)")
    image = jnp.asarray(PIXELS, jnp.float32) / 255
    keys = jax.random.split(jax.random.key(0), 300)
    many = jax.jit(jax.vmap(lambda key: policy(key, {"image": image})["image"]))(keys)
    unchanged = (np.abs(many - image[None]) < 1e-3).all(axis=(1, 2, 3)).mean()
    # One change of 14 is none, and posterizing to 8 bits, a fifth of another, changes nothing.
    assert 0.03 < unchanged < 0.17
    assert len(np.unique(np.asarray(many).sum(axis=(1, 2, 3)))) > 200
    assert (many >= -1e-6).all() and (many <= 1 + 1e-6).all()


def test_a_gray_and_tiny_image_is_changed_too():
    image = jnp.linspace(0, 1, 4).reshape(2, 2, 1)
    policy = jax.jit(data.parse_policy("rand_augment(3)"))
    result = policy(jax.random.key(1), {"image": image})["image"]
    assert result.shape == (2, 2, 1)
    assert np.isfinite(result).all()
    assert np.abs(result - image).max() > 0.01


def test_examples_whose_places_would_not_move_are_refused():
    example = {"image": jnp.zeros((4, 4, 3)), "mask": jnp.zeros((4, 4), jnp.int32)}
    with pytest.raises(ValueError, match="it moves images, and 'mask', of kind mask, would stay"):
        data.parse_policy("rand_augment")(jax.random.key(0), example)
    with pytest.raises(ValueError, match="count is 0; give a whole number from 1"):
        data.parse_policy("rand_augment(0)")
