"""The examples of a set by name."""

import numpy as np

from cnnjax.data.dataset import Dataset
from cnnjax.data.examples import Examples, choose
from cnnjax.data.read.arrays import load_arrays
from cnnjax.data.read.encoded import load_encoded
from cnnjax.data.read.framing import Framing
from cnnjax.data.read_options import Resident, is_resident


def load_examples(
    dataset: Dataset,
    split: str,
    data_dir: str | None = None,
    *,
    framing: Framing | None = None,
    chosen: np.ndarray | None = None,
    resident: Resident = "auto",
) -> Examples:
    """Reads a split whole where it is to be resident, and opens it for streaming elsewhere.

    Args:
        dataset: the set, from `catalogue.dataset`.
        split: "train" or "test".
        data_dir: TFDS data folder; None means TFDS's default.
        framing: needed where the images have many sizes, and only there.
        chosen: positions of the examples that are wanted; None for all.
        resident: see `ReadOptions`.

    Returns:
        Examples with the parts `image`, uint8 [height, width, channels], and `label`, int32.

    Raises:
        DataError: the set is not prepared, gone, or not what it should be.
    """
    if is_resident(dataset, resident):
        examples = load_arrays(dataset, split, data_dir)
    else:
        examples = load_encoded(dataset, split, data_dir, framing=framing)
    return examples if chosen is None else choose(examples, chosen)
