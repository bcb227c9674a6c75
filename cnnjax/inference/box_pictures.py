"""Image files with the predicted boxes or masks drawn on them."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from cnnjax.data.read.decode import MAX_PIXELS, DamagedImage, decode_image
from cnnjax.data.read.framing import Box
from cnnjax.data.user_files import read_regular
from cnnjax.extras import installed_with
from cnnjax.inference.files import FilePrediction, output_errors
from cnnjax.inference.mask_pictures import draw_mask
from cnnjax.tasks.marked_boxes import MarkedBox
from cnnjax.training.errors import ConfigError
from cnnjax.writing import aside

_COLORS = {
    "truth": (74, 222, 128),
    "missed": (255, 169, 77),
    "right": (90, 200, 250),
    "wrong": (255, 169, 77),
}
_LEAST_SIDE = 320
"""Smaller images are enlarged by a whole factor, so that lines and texts do not hide them."""


def check_folder(path: str | Path, option: str = "--overlays") -> Path:
    """Refuses a folder that cannot be written, before any work; makes it if it is missing.

    Args:
        path: the folder.
        option: names it in messages.

    Raises:
        ConfigError: it is no folder, or cannot be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{option}: {folder} cannot be made: {error.strerror or error}; name a folder"
        ) from None
    return folder


def write_overlays(
    folder: Path, predictions: Iterable[FilePrediction], max_pixels: int = MAX_PIXELS
) -> list[Path]:
    """Writes a PNG for each image that can be read, with its boxes or its mask drawn on it.

    Args:
        folder: an existing folder.
        predictions: those of `predict_files`.
        max_pixels: larger images are left out.

    Returns:
        The files, named as the images are; a number follows a name that is taken already.
    """
    written: list[Path] = []
    for name, image, prediction in readable(predictions, max_pixels):
        assert prediction.answer is not None  # as in all that are readable
        path = folder / f"{name}.png"
        if prediction.answer.mask is None:
            picture = draw_boxes(image, prediction.answer.boxes, prediction.seen)
        else:
            picture = draw_mask(image, prediction.answer.mask, prediction.seen)
        with output_errors(path), aside(path) as temporary:
            picture.save(temporary, format="PNG")
        written.append(path)
    return written


def readable(
    predictions: Iterable[FilePrediction], max_pixels: int = MAX_PIXELS
) -> Iterator[tuple[str, np.ndarray, FilePrediction]]:
    """Yields a name, the pixels and the prediction of each file that can be read.

    Args:
        predictions: those of `predict_files`.
        max_pixels: larger images are left out.

    Yields:
        The file's name without its ending, and with a number where it is taken already; RGB pixels
        of the whole file; and the prediction.
    """
    taken: set[str] = set()
    for prediction in predictions:
        if prediction.answer is None or prediction.seen is None:
            continue
        try:
            image = decode_image(read_regular(prediction.path), 3, max_pixels)
        except (OSError, DamagedImage):
            # It was there a moment ago: the others are worth more than an error.
            continue
        name, number = prediction.path.stem, 1
        while name in taken:
            number += 1
            name = f"{prediction.path.stem}-{number}"
        taken.add(name)
        yield name, image, prediction


def draw_boxes(
    image: UInt8[np.ndarray, "height width 3"], boxes: Sequence[MarkedBox], seen: Box | None = None
) -> Any:
    """Returns a Pillow image with boxes, enlarged where it is small.

    Args:
        image: RGB pixels.
        boxes: as shares of the part that was seen.
        seen: that part; None for the whole image.
    """
    with installed_with("train"):
        from PIL import Image, ImageDraw, ImageFont

    height, width = image.shape[:2]
    seen = seen or Box(0, 0, height, width)
    factor = max(1, _LEAST_SIDE // min(height, width))
    size = (width * factor, height * factor)
    picture = Image.fromarray(image).resize(size, Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture)
    line = max(2, round(min(picture.size) / 160))
    font = ImageFont.load_default(max(11, round(min(picture.size) / 32)))
    for box in boxes:
        color = _COLORS[box.tone]
        edges = [
            (seen.left + box.left * seen.width) * factor,
            (seen.top + box.top * seen.height) * factor,
            (seen.left + box.right * seen.width) * factor,
            (seen.top + box.bottom * seen.height) * factor,
        ]
        # A dark line below makes a bright one visible on any ground.
        around = [edges[0] - 1, edges[1] - 1, edges[2] + 1, edges[3] + 1]
        draw.rectangle(around, outline=(0, 0, 0), width=line + 2)
        draw.rectangle(edges, outline=color, width=line)
        if box.text:
            _, _, wide, high = draw.textbbox((0, 0), box.text, font=font)
            x = max(0, min(edges[0], picture.width - wide))
            y = edges[1] - high - 2 if edges[1] > high + 2 else edges[1] + line
            stroke = {"stroke_width": 2, "stroke_fill": (0, 0, 0)}
            draw.text((x, y), box.text, fill=color, font=font, **stroke)
    return picture
