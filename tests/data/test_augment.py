import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import data

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
    augment = data.parse_policy("shift(1)")
    keys = jax.random.split(jax.random.key(0), 300)
    results = np.asarray(jax.vmap(augment, in_axes=(0, None))(keys, IMAGE))
    possible = {
        shifted(np.asarray(IMAGE), down, right).tobytes()
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    }
    assert {result.tobytes() for result in results} == possible


def test_an_image_is_augmented_alike_in_any_batch():
    augment = data.parse_policy("shift(2)")
    images = jax.random.uniform(jax.random.key(1), (4, 6, 6, 1))
    positions = jnp.array([10, 20, 30, 40])
    whole = data.augment_batch(augment, jax.random.key(2), images, positions)
    part = data.augment_batch(augment, jax.random.key(2), images[2:], positions[2:])
    np.testing.assert_array_equal(whole[2:], part)


def test_an_empty_policy_changes_nothing():
    augment = data.parse_policy("")
    np.testing.assert_array_equal(augment(jax.random.key(0), IMAGE), IMAGE)


def test_calls_of_a_policy_draw_independently():
    twice = data.parse_policy("shift(1), shift(pixels=1)")
    keys = jax.random.split(jax.random.key(0), 300)
    results = np.asarray(jax.vmap(twice, in_axes=(0, None))(keys, IMAGE))
    # Were both draws equal, an image could move by 0 or 2 in a direction but never by 1.
    assert shifted(np.asarray(IMAGE), 1, 0).tobytes() in {result.tobytes() for result in results}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("shift(", "is not a list of calls"),
        ("shift", "'shift' in 'shift' is not a call"),
        ("shfit(2)", "'shfit' is unknown; did you mean shift"),
        ("shift(2, 3)", r"cannot be made.*its form is shift\(pixels: int\)"),
        ("shift(-1)", "pixels is -1; give 0 or more"),
    ],
)
def test_a_wrong_policy_says_what_is_wrong(policy, message):
    with pytest.raises(ValueError, match=message):
        data.parse_policy(policy)
