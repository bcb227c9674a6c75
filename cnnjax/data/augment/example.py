"""One example as augmentations see it: parts by name, each of a kind."""

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Shaped

from cnnjax.data.kinds import Kind

Example = Mapping[str, Shaped[Array, "..."]]
"""Parts of one example: an image float [height, width, channels] from 0 to 1, a mask int
[height, width], boxes float [boxes, 4], points float [points, 2], a label, …"""


def parts_of(kinds: Mapping[str, Kind], *wanted: Kind) -> list[str]:
    """Returns the names of the parts of some kinds.

    Args:
        kinds: the kind of each part.
        *wanted: the kinds.
    """
    return [name for name, kind in kinds.items() if kind in wanted]


def check_image(name: str, image: Array) -> None:
    """Raises an error unless a part of kind image is float [height, width, channels].

    Args:
        name: name of the part.
        image: the part.

    Raises:
        ValueError: it is not.
    """
    if image.ndim != 3:
        raise ValueError(
            f"{name}: an image of shape {image.shape} was given; one example's is [height, width, "
            "channels] (augment_batch takes whole batches)"
        )
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise ValueError(
            f"{name}: an image of {image.dtype} was given; augmentations take floats from 0 to 1: "
            "divide by 255"
        )


def common_size(step: str, example: Example, kinds: Mapping[str, Kind]) -> tuple[int, int]:
    """Returns the height and width that all images and masks of an example have.

    Args:
        step: name of the augmentation, for messages.
        example: the parts.
        kinds: the kind of each part.

    Raises:
        ValueError: there is no image or mask, one has another size than the first, or one does not
            have the form of its kind.
    """
    names = parts_of(kinds, "image", "mask")
    if not names:
        raise ValueError(
            f"{step}: the example has no part of kind image or mask; its parts are "
            + ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        )
    # Checked before sizes are compared, which need the right number of axes.
    for name in names:
        (check_image if kinds[name] == "image" else _check_mask)(name, example[name])
    first, *others = names
    height, width = example[first].shape[:2]
    for name in others:
        if example[name].shape[:2] != (height, width):
            raise ValueError(
                f"{step}: {name} is {_sides(example[name])}, but {first} is "
                f"{_sides(example[first])}; images and masks that are changed together have one "
                f"size: resize {name}, or declare it as of kind value to leave it alone"
            )
    return height, width


def check_rows(name: str, kind: Kind, rows: Array) -> None:
    """Raises an error unless boxes are float [boxes, 4], or points float [points, 2].

    Args:
        name: name of the part.
        kind: "boxes" or "points".
        rows: the part.

    Raises:
        ValueError: they are not.
    """
    columns = "top, left, bottom, right" if kind == "boxes" else "row, column"
    if rows.ndim != 2 or rows.shape[1] != len(columns.split()):
        raise ValueError(
            f"{name}: shape {rows.shape} was given; {kind} of an example are rows of ({columns})"
        )
    if not jnp.issubdtype(rows.dtype, jnp.floating):
        raise ValueError(f"{name}: {rows.dtype} was given; {kind} are floats: give float32")


def _check_mask(name: str, mask: Array) -> None:
    if mask.ndim != 2 and not (mask.ndim == 3 and mask.shape[2] == 1):
        raise ValueError(
            f"{name}: a mask of shape {mask.shape} was given; one example's is [height, width] or "
            "[height, width, 1]"
        )
    if not jnp.issubdtype(mask.dtype, jnp.integer):
        raise ValueError(
            f"{name}: a mask of {mask.dtype} was given; masks hold a whole number for each pixel: "
            "give uint8 or int32"
        )


def _sides(part: Array) -> str:
    return "x".join(map(str, part.shape[:2]))
