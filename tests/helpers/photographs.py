"""Small JPEG files of many sizes, in one folder per class, for tests of the folder data set."""

from pathlib import Path

import numpy as np
from PIL import Image

TRAIN = {"ants": 9, "bees": 8, "cats": 7}
TEST = {"ants": 3, "bees": 2, "cats": 2}


def write_photographs(folder: Path) -> None:
    """Writes 24 images to train on and 7 to test, of three classes."""
    for seed, (split, counts) in enumerate({"train": TRAIN, "test": TEST}.items()):
        generator = np.random.default_rng(seed)
        for class_name, count in counts.items():
            (folder / split / class_name).mkdir(parents=True)
            for number in range(count):
                height, width = generator.integers(20, 40, 2)
                coarse = generator.integers(0, 256, (3, 4, 3), dtype=np.uint8)
                smooth = Image.fromarray(coarse).resize((int(width), int(height)))
                smooth.save(folder / split / class_name / f"{number:03}.jpg", quality=90)
