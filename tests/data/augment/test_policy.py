import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import data
from tests.data.augment.images import augment_image, augment_many

IMAGE = jnp.arange(1, 26, dtype=jnp.float32).reshape(5, 5, 1)


def shifted(image, down, right):
    """Moves an image by slicing, zeros entering."""
    height, width, _ = image.shape
    moved = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                moved[row, column] = image[row - down, column - right]
    return moved


def test_shift_gives_each_translation_and_nothing_else():
    results = augment_many("shift(1)", IMAGE, 300)
    possible = {
        shifted(np.asarray(IMAGE), down, right).tobytes()
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    }
    assert {result.tobytes() for result in results} == possible


def test_an_image_is_augmented_alike_in_any_batch():
    augment = data.parse_policy(
        "crop(1), flip, affine(20, (0.8, 1.2)), color_jitter(0.4, 0.4, 0.4, 0.1), pca_color, "
        "cutout(2), random_erasing, resized_crop(7)"
    )

    @jax.jit
    def compiled(images, positions):
        keys = data.example_keys(jax.random.key(2), positions)
        return data.augment_batch(augment, keys, {"image": images})["image"]

    # Enough pixels for XLA to split its loops.
    images = jax.random.uniform(jax.random.key(1), (900, 8, 8, 3))
    positions = 3 * jnp.arange(900, dtype=jnp.int32)
    whole = compiled(images, positions)
    backwards = compiled(images[::-1], positions[::-1])
    np.testing.assert_allclose(backwards[::-1], whole, atol=1e-5)
    np.testing.assert_allclose(compiled(images[:2], positions[:2]), whole[:2], atol=1e-5)
    assert len(np.unique(np.asarray(whole).reshape(900, -1), axis=0)) == 900


def test_an_empty_policy_changes_nothing():
    np.testing.assert_array_equal(augment_image("", jax.random.key(0), IMAGE), IMAGE)


def test_a_bare_name_is_a_call():
    bare, called = (augment_many(policy, IMAGE, 20) for policy in ("flip", "flip()"))
    np.testing.assert_array_equal(bare, called)


# Every augmentation of gray images, with arguments that change nothing.
@pytest.mark.parametrize(
    "policy",
    [
        "shift(0)",
        "crop(0)",
        "crop(0, 'reflect')",
        "flip(0)",
        "resized_crop(area=(1, 1), aspect=(1, 1))",
        "affine()",
        "color_jitter()",
        "autocontrast(0)",
        "random_erasing(0)",
        "cutout(1), cutout(1)",
    ],
)
def test_arguments_that_change_nothing_give_the_image(policy):
    image = IMAGE / 26
    if policy.startswith("cutout"):  # which always changes something: a pixel each, here
        differing = np.asarray(augment_image(policy, jax.random.key(0), image)) != image
        assert 1 <= differing.sum() <= 2
        return
    augmented = augment_image(policy, jax.random.key(0), image)
    np.testing.assert_allclose(augmented, image, atol=1e-7)


def test_calls_of_a_policy_draw_independently():
    results = augment_many("shift(1), shift(pixels=1)", IMAGE, 300)
    # If both draws were equal, an image could move by 0 or 2 in a direction, but never by 1.
    assert shifted(np.asarray(IMAGE), 1, 0).tobytes() in {result.tobytes() for result in results}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("shift(", "is not a list of calls"),
        ("shift", r"'shift\(\)' cannot be made: missing a required argument: 'pixels'"),
        ("2", "'2' in '2' is not a call"),
        ("shfit(2)", "unknown augmentation 'shfit'; did you mean shift"),
        (
            "shift(2, 3)",
            r"cannot be made.*its form is shift\(pixels: int, \*, mask_fill: int = 255\)$",
        ),
        ("shift(-1)", "pixels is -1; give a whole number from 0 to 65536"),
        ("mixup(0.2), flip", "mixup takes whole batches, and comes once and last"),
        ("mixup, flip, mixup", "mixup takes whole batches, and comes once and last"),
        ("crop(4, mode='mirror')", "mode is 'mirror'; give 'fill' or 'reflect'"),
        ("crop(-4)", "padding is -4"),
        ("crop(True)", "padding is True; give a whole number"),
        ("crop(1.5)", r"padding is 1\.5; give a whole number"),
        ("crop('a')", "padding is 'a'; give a whole number"),
        ("shift(2147483647)", "pixels is 2147483647; give a whole number from 0 to 65536"),
        ("cutout(99999999999)", "size is 99999999999; give a whole number from 1"),
        ("flip(2)", "flip: probability is 2; give 0 to 1"),
        ("resized_crop(0)", "size is 0; give a whole number from 1 to 65536"),
        (
            "resized_crop(8, area=(0.5, 2))",
            r"area is \(0.5, 2\); give two rising numbers above 0 and",
        ),
        ("affine(rotation=-5)", "rotation is -5; give 0 or more"),
        ("affine(scale=(1.2, 0.8))", r"scale is \(1.2, 0.8\); give two rising numbers above 0;"),
        ("cutout(0)", "size is 0"),
        ("random_erasing(aspect=(0, 1))", "aspect is"),
        ("color_jitter(hue=0.6)", "hue is 0.6; give 0 to 0.5"),
        ("pca_color(-1)", "deviation is -1"),
        ("pca_color(eigenvalues=(1, 2))", r"are of shapes \(2,\) and \(3, 3\); give 3, and 3 rows"),
        ("mixup(0)", "alpha is 0; give more than 0"),
    ],
)
def test_a_wrong_policy_is_refused(policy, message):
    with pytest.raises(ValueError, match=message):
        data.parse_policy(policy)


@pytest.mark.parametrize(
    "policy",
    [
        "rand_augment(2)",
        "color_jitter(0.4, 0.4, 0.4, 0.1)",
        "affine(10)",
        "pca_color(0.1)",
        "cutout(3)",
    ],
)
def test_images_keep_their_dtype_where_float64_is_on(policy):
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        image = jnp.full((8, 8, 3), 0.5, jnp.float32)
        changed = data.parse_policy(policy)(jax.random.key(0), {"image": image})
    assert changed["image"].dtype == jnp.float32
