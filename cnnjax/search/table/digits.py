"""The digits as the table's cells see them: examples to train on, to choose by, and to test."""

import functools

import numpy as np

from cnnjax.data.prepare.digit_images import digit_images, split_indices
from cnnjax.search.cells.training import Sets

VALIDATION = 600
"""Training examples that are held out: cells are chosen by them."""

IMAGE_SIZE = (8, 8, 1)
"""Height, width and channels of an image."""


@functools.cache
def digit_sets() -> Sets:
    """Returns the digits, pixels from 0 to 1, divided by a fixed draw.

    837 and 600 examples of the training split are to train on and to choose by; the 360 of the test
    split are to test.
    """
    pixels, labels = digit_images()
    images = (pixels[..., None] / 255).astype(np.float32)
    labels = labels.astype(np.int32)
    train, test = split_indices()
    shuffled = np.random.default_rng(0).permutation(train)
    parts = (shuffled[VALIDATION:], shuffled[:VALIDATION], test)
    return Sets(*((images[part], labels[part]) for part in parts))
