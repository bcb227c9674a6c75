"""Decoding image files with OpenCV, which releases Python's lock meanwhile."""

import io
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import UInt8

from cnnjax.extras import installed_with


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


def decode_image(content: bytes, channels: int = 3) -> UInt8[np.ndarray, "height width channels"]:
    """Decodes an image file, turned upright according to its EXIF data.

    Args:
        content: content of a file in a format that OpenCV reads (JPEG, PNG, WebP, BMP, …).
        channels: 3 for RGB, 1 for gray.

    Raises:
        DamagedImage: the file is in no such format, or its end is missing.
    """
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


def _check_whole(content: bytes) -> None:
    """Raises an error if Pillow, which is slower and stricter, cannot decode a JPEG."""
    with installed_with("train"):
        from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except (OSError, SyntaxError) as error:
        raise DamagedImage(str(error)) from None
