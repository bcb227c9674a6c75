"""Names and descriptions of the sets of digit scenes."""

import numpy as np

from cnnjax.data.dataset import LABEL, MASK, Dataset
from cnnjax.data.examples import PartSpec
from cnnjax.data.prepare.scenes import SceneForm

SCENES = "digit_scenes"

SPLIT_SIZES = {"train": 4000, "test": 500}
"""Scenes in each split."""

_DIGITS = tuple("0123456789")


def digit_scenes(name: str) -> Dataset:
    """Describes a set of scenes with real digits on textured ground, with masks and boxes.

    Args:
        name: `digit_scenes/SIZE_OBJECTS`: the side of a scene in pixels, and the most digits in
            it. `digit_scenes/SIZE` has up to four, and `digit_scenes` is `digit_scenes/64`.

    Returns:
        A set whose examples have `image` [size, size, 1], `mask` (0 for the ground, 1 to 10 for the
        digits), `boxes` [most, 4], `boxes_count` and `boxes_label` (`NO_OBJECT` where there is
        none). Where `most` is 1, `label` is the digit.

    Raises:
        DataError: the name has another form, or such scenes cannot be composed.
    """
    form = SceneForm.of(name.partition("/")[2])
    number = np.dtype(np.int32)
    return Dataset(
        name=f"{SCENES}/{form.name}",
        version="1.0.0",
        config=form.name,
        image_shape=(form.size, form.size, 1),
        class_names=_DIGITS,
        split_sizes=dict(SPLIT_SIZES),
        # Of the scenes of 64x64 with up to four digits; those of others differ little.
        mean=(0.4998,),
        std=(0.1733,),
        source="composed from scikit-learn's digits (UCI optical recognition of digits)",
        parts={
            "mask": MASK,
            "boxes": PartSpec((form.most, 4), np.dtype(np.float32), "boxes"),
            "boxes_count": PartSpec((), number, "count"),
            "boxes_label": PartSpec((form.most,), number, "labels"),
            **({"label": LABEL} if form.most == 1 else {}),
        },
        mask_names=("ground", *_DIGITS),
    )
