"""Images alone come out as they did when the published results were trained.

`image_numbers.npz` was computed by the code of that time, jitted, in float32 on the CPU.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import data

POLICIES = {
    "shift": "shift(2)",
    "crop": "crop(2)",
    "crop_reflect": "crop(2, 'reflect')",
    "crop_fill": "crop(2, fill=(0.1, 0.2, 0.3))",
    "resized_crop": "resized_crop",
    "resized_crop_7": "resized_crop(7, area=(0.3, 0.9))",
    "flip": "flip",
    "affine": "affine(20, (0.8, 1.2), 1.5, (0.1, 0.2, 0.3))",
    "color_jitter": "color_jitter(0.4, 0.4, 0.4, 0.1)",
    "pca_color": "pca_color",
    "autocontrast": "autocontrast",
    "cutout": "cutout(3, 0.5)",
    "random_erasing": "random_erasing(0.8)",
    "mixup": "flip, mixup(0.4)",
    "two": "shift(2), flip",
}
EXPECTED = np.load(Path(__file__).parent / "image_numbers.npz")
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3)) / np.float32(255)
POSITIONS = jnp.asarray([3, 0, 1000, 7], jnp.int32)


@pytest.mark.parametrize("name", POLICIES)
def test_pixels_are_those_of_published_results(name):
    policy = data.parse_policy(POLICIES[name])

    @jax.jit
    def augment(images):
        keys = data.example_keys(jax.random.key(5), POSITIONS)
        augmented = data.augment_batch(policy, keys, {"image": images})
        batch = augmented | {"label": jnp.arange(4), "weight": jnp.ones(4)}
        return policy.mix(keys, batch, num_classes=4)

    result = augment(jnp.asarray(IMAGES, jnp.float32))
    np.testing.assert_allclose(result["image"], EXPECTED[name], atol=1e-6, rtol=0)
    if policy.mixing:
        np.testing.assert_allclose(result["target"], EXPECTED["mixup_target"], atol=1e-6, rtol=0)


def test_every_augmentation_has_numbers():
    assert {name for name in EXPECTED if name != "mixup_target"} == set(POLICIES)
    transforms = {step.name for text in POLICIES.values() for step in data.as_policy(text).steps}
    assert len(transforms | {"mixup"}) == 11
