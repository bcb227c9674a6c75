"""Every augmentation that moves pixels moves boxes: each bounds its object's pixels."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import data
from cnnjax.data.augment.registry import AUGMENTATIONS
from cnnjax.data.augment.transform import Geometry

SIDE = 48
POLICIES = {
    "affine": "affine(rotation=35, scale=(0.7, 1.5), shift=14)",
    "crop": "crop(16)",
    "flip": "flip(0.5)",
    "resized_crop": "resized_crop(56, area=(0.2, 0.9))",
    "shift": "shift(20)",
}
"""A strong form of each geometric augmentation, which moves some objects out of the image."""


def scene():
    """Returns ellipses, each with its own label in the mask, and their boxes; one slot is empty."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    mask, boxes = np.zeros((SIDE, SIDE), np.uint8), np.zeros((4, 4), np.float32)
    for number, (row, column, high, wide) in enumerate(
        [(11, 10, 8, 7), (33, 14, 9, 5), (26, 37, 6, 9)]
    ):
        inside = ((rows - row) / high) ** 2 + ((columns - column) / wide) ** 2 <= 1
        mask[inside] = number + 1
        seen = np.argwhere(inside)
        boxes[number] = *seen.min(axis=0), *(seen.max(axis=0) + 1)
    image = (mask > 0).astype(np.float32)[..., None]
    return {
        "image": jnp.asarray(image),
        "mask": jnp.asarray(mask),
        "boxes": jnp.asarray(boxes),
        "boxes_count": jnp.int32(3),
        "boxes_label": jnp.asarray([1, 2, 3, -1], jnp.int32),
    }


def test_every_geometric_augmentation_is_among_these():
    makers = {name: AUGMENTATIONS.get(name) for name in AUGMENTATIONS}
    moving = {
        name
        for name, maker in makers.items()
        if inspect.isclass(maker) and issubclass(maker, Geometry)
    }
    assert moving == set(POLICIES)


@pytest.mark.parametrize("policy", POLICIES.values())
def test_an_augmented_box_bounds_its_objects_pixels(policy):
    count = 24
    batch = {name: jnp.stack([part] * count) for name, part in scene().items()}
    keys = jax.random.split(jax.random.key(1), count)
    moved = jax.jit(lambda keys, batch: data.augment_batch(policy, keys, batch))(keys, batch)
    mask, boxes = np.asarray(moved["mask"]), np.asarray(moved["boxes"])
    height, width = mask.shape[1:]
    left_image = 0
    for example, slot in np.ndindex(count, 3):
        box, seen = boxes[example, slot], np.argwhere(mask[example] == slot + 1)
        if not box.any():
            # A box without area is no object any more: none of its pixels is left.
            assert not len(seen)
            left_image += 1
            continue
        assert (box[:2] >= 0).all()
        assert (box[2:] <= (height, width)).all()
        assert (box[2:] > box[:2]).all()
        if len(seen):
            # A mask takes the nearest pixel, whose center may lie half a pixel beyond the object.
            assert (seen.min(axis=0) + 0.5 >= box[:2] - 0.51).all()
            assert (seen.max(axis=0) + 0.5 <= box[2:] + 0.51).all()
    np.testing.assert_array_equal(boxes[:, 3], 0)
    np.testing.assert_array_equal(moved["boxes_label"], batch["boxes_label"])
    if policy.startswith(("shift", "resized_crop")):
        assert left_image
