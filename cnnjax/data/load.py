"""Loading the examples of a set by its name."""

import numpy as np

from cnnjax.data.dataset import Dataset
from cnnjax.data.examples import Examples, choose
from cnnjax.data.read.arrays import load_arrays
from cnnjax.data.read.decode import MAX_PIXELS
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
    max_pixels: int = MAX_PIXELS,
) -> Examples:
    """Reads a whole split if it is to be kept on the device, else opens it for streaming.

    Args:
        dataset: the set, from `catalogue.dataset`.
        split: "train" or "test".
        data_dir: TFDS data folder; None means TFDS's default.
        framing: how photographs of many sizes get one; None for a set whose images have one size.
        chosen: positions of the wanted examples; None for all.
        resident: whether the set is kept on the device; see `ReadOptions`.
        max_pixels: larger streamed images count as damaged; see `ReadOptions`.

    Returns:
        Examples with the parts `image`, uint8 [height, width, channels], and `label`, int32.

    Raises:
        DataError: the set is not prepared, gone, damaged, or not in the expected form.
        DataFolderError: something is prepared, and the data folder cannot be written.
    """
    if is_resident(dataset, resident):
        examples = load_arrays(dataset, split, data_dir)
    else:
        examples = load_encoded(dataset, split, data_dir, framing=framing, max_pixels=max_pixels)
    return examples if chosen is None else choose(examples, chosen)
