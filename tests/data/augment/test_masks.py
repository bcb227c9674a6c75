"""Masks move with their images under every registered augmentation that moves pixels."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import data
from cnnjax.data.augment import AUGMENTATIONS, Geometry

SIZE, LABELS = 32, 4
CALLS = {
    "affine": "affine(25, (0.8, 1.3), 3)",
    "crop": "crop(5)",
    "flip": "flip",
    "resized_crop": "resized_crop(None, (0.3, 1.0))",
    "shift": "shift(6)",
}
MAKERS: dict[str, Any] = {name: AUGMENTATIONS.get(name) for name in AUGMENTATIONS.names()}
GEOMETRIES = sorted(
    name for name, maker in MAKERS.items() if inspect.isclass(maker) and issubclass(maker, Geometry)
)


def test_each_registered_movement_is_tried():
    assert sorted(CALLS) == GEOMETRIES


@pytest.mark.parametrize("name", CALLS)
def test_a_mask_keeps_its_labels_and_stays_on_its_image(name):
    """The image is made of the mask's labels, so that both can be compared pixel by pixel."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[4:14, 3:12], mask[10:28, 16:22], mask[20:30, 5:30] = 1, 2, 3
    image = jnp.asarray(mask[..., None] / (LABELS - 1), jnp.float32)
    policy, count = data.parse_policy(CALLS[name]), 16
    batch = {"image": jnp.stack([image] * count), "mask": jnp.stack([jnp.asarray(mask)] * count)}
    keys = jax.random.split(jax.random.key(3), count)
    moved = jax.jit(lambda keys, batch: data.augment_batch(policy, keys, batch))(keys, batch)
    masks, images = np.asarray(moved["mask"]), np.asarray(moved["image"])[..., 0]
    assert masks.dtype == np.uint8 and masks.shape == images.shape
    assert set(np.unique(masks)) <= {*range(LABELS), 255}
    # Away from edges between labels, where images are interpolated, both are equal.
    inner = np.ones_like(masks, bool)
    for axis in (1, 2):
        for step in (-2, -1, 1, 2):
            inner &= masks == np.roll(masks, step, axis=axis)
    inner &= masks < 255
    assert inner.mean() > 0.1
    agrees = np.abs(images[inner] * (LABELS - 1) - masks[inner]) < 0.5
    # A corner of a region may lie within the interpolation's reach.
    assert agrees.mean() > 0.98
    assert (masks != mask).any()
