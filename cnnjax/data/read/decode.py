"""Decoding image files with OpenCV, which releases Python's lock meanwhile."""

from functools import cache
from typing import Any

import numpy as np
from jaxtyping import UInt8

from cnnjax.data.read.image_header import BrokenHeader, open_header, stored_size
from cnnjax.extras import installed_with

MAX_PIXELS = 178_956_970
"""Largest number of pixels of an image that is decoded by default: as in Pillow, which needs at
most half a gigabyte for so many in RGB."""


class DamagedImage(ValueError):
    """The content of an image file cannot be decoded, or ends too early."""


@cache
def opencv() -> Any:
    """Returns OpenCV, imported when first needed and set to one thread per call.

    Decoding several images at once is faster than several threads for one image.
    """
    with installed_with("train"):
        import cv2

    cv2.setNumThreads(1)
    return cv2


def decode_image(
    content: bytes, channels: int = 3, max_pixels: int = MAX_PIXELS
) -> UInt8[np.ndarray, "height width channels"]:
    """Decodes an image file, turned upright according to its EXIF data.

    Args:
        content: content of a file in a format that OpenCV reads (JPEG, PNG, WebP, BMP, …).
        channels: 3 for RGB, 1 for gray.
        max_pixels: largest number of pixels; the header is compared with it before anything is
            decoded.

    Raises:
        DamagedImage: the file is in no such format, its end is missing, or it is too large.
    """
    check_size(content, max_pixels)
    cv2 = opencv()
    # OpenCV's default order of channels is B, G, R.
    flag = cv2.IMREAD_COLOR_RGB if channels == 3 else cv2.IMREAD_GRAYSCALE
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flag)
    except cv2.error as error:
        raise DamagedImage(f"cannot be decoded: {error.err or error}") from None
    if image is None:
        raise DamagedImage("cannot be decoded")
    # OpenCV fills the missing end of a JPEG with gray, without an error. A JPEG starts with FF D8
    # and ends with FF D9; some programs write a few bytes after that.
    if content[:2] == b"\xff\xd8" and b"\xff\xd9" not in content[-32:]:
        _check_whole(content)
    return image.reshape(*image.shape[:2], channels)


def check_size(content: bytes, max_pixels: int) -> None:
    """Raises an error if a header is damaged, or states more pixels than allowed.

    Args:
        content: content of an image file.
        max_pixels: largest number of pixels.

    Raises:
        DamagedImage: it is damaged, or states more.
    """
    try:
        width, height = stored_size(content)
    except BrokenHeader as error:
        raise DamagedImage(f"cannot be decoded: {error}") from None
    if width * height > max_pixels:
        raise DamagedImage(
            f"it has {width}x{height} pixels, more than the {max_pixels:,} that --max_pixels allows"
        )


def _check_whole(content: bytes) -> None:
    """Raises an error if Pillow, which is slower and stricter, cannot decode a JPEG."""
    try:
        with open_header(content) as image:
            image.load()
    # Pillow raises errors of a dozen kinds for damaged images.
    except Exception as error:
        raise DamagedImage(str(error)) from None
