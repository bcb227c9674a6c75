"""A stream's part of a batch: its names, and what its randomness depends on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import data
from cnnjax.training.step.batch import Pipeline, draws_of

KEY = jax.random.key(7)
KINDS: dict[str, Any] = {"image": "image", "label": "label"}
PREPROCESS = data.Preprocess(mean=(0.25,), std=(0.5,))


def noise(key, example):
    """An image that shows nothing but its key."""
    return {**example, "image": jax.random.uniform(key, example["image"].shape)}


def stored(positions, rows=None):
    """Stored examples, whose pixels and labels are their positions."""
    positions = jnp.asarray(positions, jnp.int32)
    image = jnp.broadcast_to(positions[:, None, None, None], (len(positions), 2, 2, 1))
    return {
        "image": image.astype(jnp.uint8),
        "label": positions,
        "weight": jnp.linspace(0, 1, len(positions), dtype=jnp.float32),
        "position": positions,
        "draw": positions if rows is None else jnp.asarray(rows, jnp.int32),
    }


def pipeline(*, number=0, repeats=False, num_classes=None, **views: Any):
    policies = {name: data.as_policy(policy) for name, policy in views.items()}
    return Pipeline(PREPROCESS, policies, KINDS, number, repeats, num_classes)


def one(policy, **options):
    """The only view, whose name is empty."""
    return pipeline(**options, **{"": policy})


def test_a_stream_without_views_gives_its_parts_by_name():
    given = stored([3, 5, 250])
    batch = one("").make(given, KEY, block=0, step=0)
    assert set(batch) == {"image", "label", "weight", "position"}
    for name in ("label", "weight", "position"):
        np.testing.assert_array_equal(batch[name], given[name])
    expected = (np.array([3, 5, 250]) / 255 - 0.25) / 0.5
    np.testing.assert_allclose(batch["image"][:, 1, 1, 0], expected, rtol=1e-6)


def test_views_stand_under_their_names_with_weights_and_positions_beside():
    given = stored([3, 5, 250])
    batch = pipeline(weak="", strong=noise).make(given, KEY, block=0, step=0)
    assert set(batch) == {"weak", "strong", "weight", "position"}
    for name in ("weak", "strong"):
        assert set(batch[name]) == {"image", "label"}
        np.testing.assert_array_equal(batch[name]["label"], given["label"])
    np.testing.assert_array_equal(batch["weight"], given["weight"])
    alone = one("").make(given, KEY, block=0, step=0)
    np.testing.assert_array_equal(batch["weak"]["image"], alone["image"])


def test_the_first_view_draws_from_the_runs_key_block_and_position():
    positions = [4, 0, 9]
    batch = one(noise).make(stored(positions), KEY, block=2, step=11)
    for row, position in enumerate(positions):
        key = jax.random.fold_in(jax.random.fold_in(KEY, 2), position)
        image = jax.random.uniform(jax.random.fold_in(key, 0), (2, 2, 1))  # the policy's first step
        np.testing.assert_allclose(batch["image"][row], (image - 0.25) / 0.5, rtol=1e-6)


def images_of(made, positions, block, step, rows=None):
    batch = made.make(stored(positions, rows), KEY, block=block, step=step)
    return np.asarray(batch["image"])


def test_an_example_looks_the_same_at_any_place_of_an_epoch_and_other_in_the_next():
    made = one(noise)
    first = images_of(made, [4, 0, 9], block=2, step=11)
    np.testing.assert_array_equal(first[::-1], images_of(made, [9, 0, 4], block=2, step=13))
    assert not np.any(first == images_of(made, [4, 0, 9], block=3, step=11))


def test_an_example_that_repeats_looks_different_each_time():
    made = one(noise, repeats=True)
    first = images_of(made, [4, 4, 9], block=2, step=11, rows=[0, 1, 2])
    assert not np.any(first[0] == first[1])
    assert not np.any(first == images_of(made, [4, 4, 9], block=2, step=12, rows=[0, 1, 2]))
    np.testing.assert_array_equal(
        first, images_of(made, [4, 4, 9], block=5, step=11, rows=[0, 1, 2])
    )


def test_views_and_streams_draw_from_keys_of_their_own():
    given = stored([4, 0, 9])
    seen = []
    for number in range(3):
        batch = pipeline(number=number, a=noise, b=noise).make(given, KEY, block=2, step=11)
        seen += [np.asarray(batch[view]["image"]) for view in ("a", "b")]
    for place, image in enumerate(seen):
        assert not any(np.any(image == other) for other in seen[:place])


@pytest.mark.parametrize(("repeats", "expected"), [(False, [4, 4, 9]), (True, [0, 1, 2])])
def test_what_repeats_is_distinguished_by_its_row(repeats, expected):
    draws = draws_of(jnp.array([4, 4, 9]), jnp.arange(3), repeats)
    np.testing.assert_array_equal(draws, expected)


def test_a_stream_that_mixes_has_targets_of_all_classes():
    batch = one("mixup(0.5)", num_classes=10).make(stored([3, 5, 6, 9]), KEY, block=0, step=0)
    assert batch["target"].shape == (4, 10)
    np.testing.assert_allclose(batch["target"].sum(axis=1), np.ones(4), rtol=1e-6)
