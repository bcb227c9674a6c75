from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def write_photographs(folder: Path, counts: dict[str, int], seed: int = 0) -> None:
    """Writes JPEG files of many sizes into one folder per class."""
    generator = np.random.default_rng(seed)
    for class_name, count in counts.items():
        (folder / class_name).mkdir(parents=True)
        for number in range(count):
            height, width = generator.integers(20, 40, 2)
            coarse = generator.integers(0, 256, (3, 4, 3), dtype=np.uint8)
            smooth = Image.fromarray(coarse).resize((int(width), int(height)))
            smooth.save(folder / class_name / f"{number:03}.jpg", quality=90)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """A folder of 24 images to train on and 7 to test, of three classes; not to be changed."""
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder / "train", {"ants": 9, "bees": 8, "cats": 7})
    write_photographs(folder / "test", {"ants": 3, "bees": 2, "cats": 2}, seed=1)
    return folder


@pytest.fixture(scope="session")
def tfds_dir(tmp_path_factory):
    """A TFDS folder with `digits` in it."""
    from cnnjax import data

    folder = str(tmp_path_factory.mktemp("tfds"))
    data.load_arrays(data.dataset("digits"), "test", folder)
    return folder
