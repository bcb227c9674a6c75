"""The headers of image files: the size of an image is known before memory is taken for it."""

import io
import struct
from functools import cache
from typing import Any

from cnnjax.extras import installed_with

# The formats of OpenCV that Pillow reads too, the most frequent one first. PNG and GIF are missing:
# Pillow refuses PNG images with a large text or color profile, and GIF images of many pixels.
_FORMATS = ("JPEG", "WEBP", "BMP", "TIFF", "JPEG2000", "AVIF", "PPM", "SUN")

_PNG = b"\x89PNG\r\n\x1a\n"
_GIF = (b"GIF87a", b"GIF89a")


class BrokenHeader(ValueError):
    """A header is damaged, or its format unknown."""


@cache
def _openers() -> list[tuple[Any, Any]]:
    """Returns Pillow's reader of each format, and the function that recognizes its first bytes."""
    with installed_with("train"):
        from PIL import Image

    Image.init()
    return [Image.OPEN[name] for name in _FORMATS if name in Image.OPEN]


def open_header(content: bytes) -> Any:
    """Returns Pillow's image of a file whose header alone was read.

    Unlike `Image.open`, it neither warns of large images nor refuses them: a limit of Pillow holds
    for the whole process, ours for one call.

    Args:
        content: content of the file.

    Raises:
        BrokenHeader: the header is damaged, or the format unknown.
    """
    for read, recognizes in _openers():
        # Text instead of True is the reason why Pillow was built without the format.
        if recognizes(content[:16]) is not True:
            continue
        try:
            return read(io.BytesIO(content), "")
        # Its readers raise errors of a dozen kinds for damaged headers.
        except Exception as error:
            raise BrokenHeader(f"its header cannot be read: {error}") from error
    raise BrokenHeader("it is in no format that is read")


def stored_size(content: bytes) -> tuple[int, int]:
    """Returns the width and height that an image file states.

    Args:
        content: content of the file.

    Raises:
        BrokenHeader: the header is damaged, or the format unknown.
    """
    if content.startswith(_PNG):
        return _png_size(content)
    if content.startswith(_GIF) and len(content) >= 10:
        width, height = struct.unpack("<HH", content[6:10])
        return width, height
    return open_header(content).size


def _png_size(content: bytes) -> tuple[int, int]:
    """Returns the size that a PNG file states, all of whose chunks are within the file."""
    start, kind = len(_PNG), b""
    # OpenCV takes the memory for a chunk before it reads it: up to 4 GB for a few wrong bytes.
    while kind != b"IEND":
        if start + 8 > len(content):
            raise BrokenHeader("its end is missing")
        length, kind = struct.unpack(">I4s", content[start : start + 8])
        # The length of a chunk, its kind, its content, and a checksum.
        start += 12 + length
        if start > len(content):
            raise BrokenHeader(f"its end is missing, or the length of a chunk, {length}, is wrong")
    if content[12:16] != b"IHDR" or len(content) < 24:
        raise BrokenHeader("its header is missing")
    width, height = struct.unpack(">II", content[16:24])
    return width, height
