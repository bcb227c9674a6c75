"""Images of bright rectangles with their boxes, for tests of tasks with boxes."""

import flax.linen as linen
import jax.numpy as jnp
import numpy as np

from cnnjax import data

NAMES = ("wide", "high", "square")
SIDE = 32


def rectangles(count=12, most=3, seed=0):
    """Returns images with up to `most` rectangles each, whose class is their form."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, SIDE, SIDE, 1)).astype(np.uint8)
    boxes = np.zeros((count, most, 4), np.float32)
    labels = np.full((count, most), -1, np.int32)
    counts = rng.integers(1, most + 1, count).astype(np.int32)
    for example in range(count):
        for slot in range(counts[example]):
            label = int(rng.integers(3))
            height, width = ((6, 12), (12, 6), (9, 9))[label]
            top, left = rng.integers(0, SIDE - 12, 2)
            boxes[example, slot] = top, left, top + height, left + width
            labels[example, slot] = label
            images[example, top : top + height, left : left + width] = 100 + 60 * label
    return data.from_arrays(image=images, boxes=boxes, boxes_count=counts, boxes_label=labels)


class Fixed(linen.Module):
    """Returns what its one parameter holds for the image's first pixel, whatever it learned."""

    shape: tuple[int, ...]

    @linen.compact
    def __call__(self, x, train=False):
        table = self.param("table", linen.initializers.zeros, self.shape)
        # The first pixel of an image is its place in the table.
        return table[(x[:, 0, 0, 0] * 255).round().astype(jnp.int32)]


def numbered(examples):
    """Returns the examples with their place in the first pixel of each image."""
    parts = {name: np.array(part) for name, part in examples.arrays.items()}
    parts["image"][:, 0, 0, 0] = np.arange(len(parts["image"]))
    return data.from_arrays(kinds=None, **parts)
