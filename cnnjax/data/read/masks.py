"""Decoding masks: images whose pixels are labels, of one channel or with a palette."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8

from cnnjax.data.errors import DataError
from cnnjax.data.preprocess import IGNORED
from cnnjax.data.read.decode import MAX_PIXELS, DamagedImage, check_size
from cnnjax.extras import installed_with

MaskArray = UInt8[np.ndarray, "height width"]

# Of one bit, of 8 bits, and with a palette, whose colors are for looking only.
_MODES = ("1", "L", "P")


def decode_mask(content: bytes, max_pixels: int = MAX_PIXELS) -> MaskArray:
    """Decodes a mask; of one with a palette, the places in the palette are the labels.

    Args:
        content: content of a PNG file.
        max_pixels: largest number of pixels; see `decode_image`.

    Raises:
        DamagedImage: it is no PNG file, its end is missing, or it is too large.
        DataError: its pixels are colors or numbers of 16 bits, not labels.
    """
    if not content.startswith(b"\x89PNG"):
        raise DamagedImage("it is no PNG file; other formats change the labels of masks")
    check_size(content, max_pixels)
    with installed_with("train"):
        from PIL.PngImagePlugin import PngImageFile
    try:
        # Not `Image.open`, whose limit of pixels holds for the whole process.
        with PngImageFile(io.BytesIO(content)) as image:
            if image.mode in _MODES:
                return np.asarray(image).astype(np.uint8)
            mode = image.mode
    # Pillow raises errors of a dozen kinds for damaged images.
    except Exception as error:
        raise DamagedImage(f"cannot be decoded: {error}") from None
    raise DataError(
        f"its pixels are of mode {mode}; masks have one channel of 8 bits, or a palette: convert "
        "colors to labels from 0 and save the mask as an 8-bit gray PNG"
    )


def labeled(
    mask: MaskArray, names: Sequence[str], labels: Mapping[int, int] | None = None
) -> MaskArray:
    """Returns a mask's labels, all of which are known or ignored.

    Args:
        mask: the stored values.
        names: a name for each label.
        labels: the label of each stored value; None where they are equal.

    Raises:
        DataError: a value has no label; the message names it, how many pixels have it, and the fix.
    """
    counts = np.bincount(mask.reshape(-1), minlength=256)
    known = dict(labels) if labels else {**{n: n for n in range(len(names))}, IGNORED: IGNORED}
    unknown = [value for value in np.flatnonzero(counts).tolist() if value not in known]
    if unknown:
        first = unknown[0]
        listed = f"0 to {len(names) - 1}, and {IGNORED} for pixels to ignore"
        allowed = ", ".join(map(str, known)) if labels else listed
        raise DataError(
            f"{counts[first]:,} of its pixels have the value {first}, which is no label; allowed: "
            f"{allowed}: change these pixels"
            + ("" if labels else f", or add names to classes.txt up to number {max(unknown)}")
        )
    if not labels:
        return mask
    table = np.full(256, IGNORED, np.uint8)
    table[list(known)] = list(known.values())
    return table[mask]
