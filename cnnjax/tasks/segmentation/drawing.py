"""Pictures of masks: a palette, overlays, and panels of image, truth, prediction and error."""

import io
from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Int, Num, UInt8

from cnnjax.data.preprocess import IGNORED
from cnnjax.extras import installed_with
from cnnjax.tasks.sections import Evaluated
from cnnjax.tasks.segmentation.evaluated_masks import image_figures, seen_masks

Labels = UInt8[np.ndarray, "height width"]
Picture = UInt8[np.ndarray, "height width 3"]

_OPACITY = 0.6
_WRONG = np.array([230, 30, 30], np.uint8)
_UNCOUNTED = np.array([40, 70, 150], np.uint8)
# Panels of smaller images are enlarged to about this many pixels.
_PANEL = 112
_GAP = 4


@cache
def palette() -> UInt8[np.ndarray, "256 3"]:
    """Returns the color of each label: black for 0, and those of PASCAL VOC's masks for others.

    Bits 0, 3 and 6 of a label are the highest bits of red, bits 1, 4 and 7 those of green, and bits
    2 and 5 those of blue.

    Source: Everingham et al., the VOC development kit, `VOClabelcolormap`.
    """
    labels = np.arange(256)
    colors = np.zeros((256, 3), np.int64)
    for place in range(8):
        for channel in range(3):
            bit = labels >> (3 * place + channel) & 1
            colors[:, channel] |= bit << (7 - place)
    return colors.astype(np.uint8)


def mask_png(labels: Labels) -> bytes:
    """Returns a PNG file whose pixels are labels, with a palette that shows them in colors.

    Args:
        labels: the label of each pixel.
    """
    with installed_with("train"):
        from PIL import Image

    picture = Image.fromarray(labels)
    picture.putpalette(palette().tobytes())
    return _png(picture)


def picture_png(pixels: Picture) -> bytes:
    """Returns a PNG file of a picture.

    Args:
        pixels: RGB.
    """
    with installed_with("train"):
        from PIL import Image

    return _png(Image.fromarray(pixels))


def _png(picture: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)  # pyright: ignore[reportAttributeAccessIssue]
    return stream.getvalue()


def shown(image: Num[np.ndarray, "height width channels"]) -> Picture:
    """Returns an image as RGB pixels.

    Args:
        image: uint8, or other numbers, which are cut to 0..1; of other numbers of channels than 1
            or 3 the mean is shown.
    """
    unit = image / 255 if image.dtype == np.uint8 else np.clip(np.nan_to_num(image), 0, 1)
    if unit.shape[-1] not in (1, 3):
        unit = unit.mean(axis=-1, keepdims=True)
    pixels = np.round(unit * 255).astype(np.uint8)
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3)).copy()


def overlaid(image: Num[np.ndarray, "height width channels"], labels: Labels) -> Picture:
    """Returns an image in gray under the colors of its labels; label 0 leaves it as it is.

    Args:
        image: the image.
        labels: the label of each pixel.
    """
    gray = shown(image).mean(axis=-1, keepdims=True).round().astype(np.uint8)
    base = np.broadcast_to(gray, (*gray.shape[:2], 3))
    mixed = (1 - _OPACITY) * base + _OPACITY * palette()[labels]
    return np.where((labels > 0)[..., None], np.round(mixed).astype(np.uint8), base)


def panels(
    image: Num[np.ndarray, "height width channels"],
    truth: Labels,
    predicted: Labels,
    counted: Bool[np.ndarray, "height width"],
) -> UInt8[np.ndarray, "panel_height panel_width 3"]:
    """Returns image and truth side by side, and below them prediction and error.

    In the error, wrong pixels are red, pixels that do not count blue, and the others the image.

    Args:
        image: the image.
        truth: the true label of each pixel.
        predicted: the predicted label of each pixel.
        counted: which pixels count.
    """
    error = shown(image) // 2
    error[counted & (truth != predicted)] = _WRONG
    error[~counted] = _UNCOUNTED
    colors = _light_palette()
    # A label that does not count is drawn black, since its color in the palette is near white.
    known = np.where(counted | (truth != IGNORED), truth, 0)
    scale = max(1, round(_PANEL / max(truth.shape)))
    drawn = [
        panel.repeat(scale, axis=0).repeat(scale, axis=1)
        for panel in (shown(image), colors[known], colors[predicted], error)
    ]
    height, width = drawn[0].shape[:2]
    sheet = np.full((2 * height + _GAP, 2 * width + _GAP, 3), 255, np.uint8)
    for number, panel in enumerate(drawn):
        top, left = (number // 2) * (height + _GAP), (number % 2) * (width + _GAP)
        sheet[top : top + height, left : left + width] = panel
    return sheet


@cache
def _light_palette() -> UInt8[np.ndarray, "256 3"]:
    """Returns the palette in lighter colors, which differ more from black on a page."""
    colors = palette().astype(np.float64)
    light = colors + 0.35 * (255 - colors)
    light[0] = 0
    return light.round().astype(np.uint8)


def worst_panels(
    evaluated: Evaluated, classes: int, ignore_label: int, count: int
) -> UInt8[np.ndarray, "pictures height width 3"]:
    """Returns the panels of the images with the lowest IoU, the worst first.

    Args:
        evaluated: predictions and examples of the evaluated split.
        classes: number of classes.
        ignore_label: a label that does not count.
        count: the most images to return.
    """
    figures = image_figures(evaluated, classes, ignore_label)
    return np.stack(panels_of(evaluated, figures.worst()[:count], classes, ignore_label))


def panels_of(
    evaluated: Evaluated, places: Int[np.ndarray, " chosen"], classes: int, ignore_label: int
) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """Returns the panels of some evaluated images.

    Args:
        evaluated: predictions and examples of the evaluated split.
        places: which of them.
        classes: number of classes.
        ignore_label: a label that does not count.
    """
    masks, counted = seen_masks(evaluated, places, classes, ignore_label)
    images: Float[np.ndarray, ...] = evaluated.seen(places)["image"]
    predicted = np.asarray(evaluated.predictions)[places]
    return [
        panels(image, mask, guess, counts)
        for image, mask, guess, counts in zip(images, masks, predicted, counted, strict=True)
    ]
