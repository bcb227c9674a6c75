"""The handwritten digits as arrays, and their split; see `digits`, which needs more packages."""

from typing import Any

import numpy as np

from cnnjax.extras import installed_with

TEST_SIZE = 360
"""Examples in the test split; the other 1,437 are the training split."""

SPLIT_SEED = 0
"""Seed of the stratified split: part of the definition of the set."""


def digit_images() -> tuple[np.ndarray, np.ndarray]:
    """Returns all images, uint8 [1797, 8, 8], and their labels, in scikit-learn's order."""
    digits = _bundle()
    # From 0 … 16 to 0 … 255. No value falls on a half, so that rounding is unambiguous.
    return np.round(digits.images * (255 / 16)).astype(np.uint8), digits.target


def split_indices() -> tuple[np.ndarray, np.ndarray]:
    """Returns the positions of the training and test examples within scikit-learn's array."""
    with installed_with("train"):
        from sklearn.model_selection import train_test_split

    labels = _bundle().target
    train, test = train_test_split(
        np.arange(len(labels)), test_size=TEST_SIZE, stratify=labels, random_state=SPLIT_SEED
    )
    return np.asarray(train), np.asarray(test)


def _bundle() -> Any:
    with installed_with("train"):
        from sklearn.datasets import load_digits

    return load_digits()
