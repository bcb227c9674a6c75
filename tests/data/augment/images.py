"""Augmentation of images alone, in short."""

import jax
import numpy as np

from cnnjax import data


def augment_image(policy, key, image):
    """Returns one image, augmented by a policy."""
    return data.as_policy(policy)(key, {"image": image})["image"]


def augment_many(policy, image, count=200):
    """Returns an image as it comes out under each of several keys."""
    keys = jax.random.split(jax.random.key(0), count)
    augment = jax.vmap(lambda key, image: augment_image(policy, key, image), in_axes=(0, None))
    return np.asarray(jax.jit(augment)(keys, image))
