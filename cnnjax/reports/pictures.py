"""Arrays as PNG images inside the page."""

import base64
import io

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from cnnjax.extras import installed_with

with installed_with("report"):
    from PIL import Image

# Colors of a palette image: enough for a small picture, and few enough that it compresses well.
_LEVELS = 64
# Pictures of at most this many pixels on their longer side are small in any form.
_SMALL_SIDE = 96


def displayed(
    image: Shaped[np.ndarray, "height width channels"],
) -> UInt8[np.ndarray, "height width shown"]:
    """Returns a stored image as one that can be shown.

    Args:
        image: uint8, or other numbers: those in 0..1 are shown as they are, and others are scaled
            so that the smallest is black and the largest white.

    Returns:
        uint8 [height, width, 1 or 3]; an image of another number of channels becomes their mean.
    """
    if image.dtype != np.uint8:
        low, high = value_range(image)
        unit = image.astype(np.float32) if low >= 0 and high <= 1 else rescaled(image)
        image = (np.nan_to_num(unit) * 255).round().astype(np.uint8)
    if image.shape[-1] not in (1, 3):
        image = image.mean(axis=-1, keepdims=True).astype(np.uint8)
    return image


def photo(
    image: Shaped[np.ndarray, "height width channels"],
    *,
    max_side: int = 128,
    exact: bool = True,
) -> str:
    """Returns a stored image as a data URI; see `displayed`.

    Args:
        image: any numbers [height, width, channels].
        max_side: larger images are scaled down to this many pixels on their longer side.
        exact: whether all pixels keep their values; otherwise a picture of more than 96 pixels is
            stored as JPEG, which takes a tenth of the bytes.
    """
    image = displayed(image)
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture.thumbnail((max_side, max_side), Image.Resampling.BOX)
    return _data_uri(picture) if exact else _smooth_uri(picture)


def heat_map(
    values: Float[np.ndarray, "height width"],
    *,
    low: float,
    high: float,
    colors: str = "viridis",
    max_side: int = 64,
) -> str:
    """Returns a map of values as colors, as a data URI.

    Args:
        values: [height, width].
        low: the value of the first color, which smaller values and NaN have too.
        high: the value of the last color, which larger values have too.
        colors: the name of a matplotlib color map.
        max_side: larger maps are averaged down to this many pixels on their longer side.
    """
    with installed_with("report"):
        import matplotlib

    spread = high - low if high > low else 1.0
    scaled = np.clip((np.nan_to_num(values.astype(np.float32), nan=low) - low) / spread, 0, 1)
    picture = Image.fromarray(scaled)
    picture.thumbnail((max_side, max_side), Image.Resampling.BOX)
    # Stored as places in a table of colors, which takes a third of the bytes of colors.
    indices = np.round(np.asarray(picture) * (_LEVELS - 1)).astype(np.uint8)
    picture = Image.fromarray(indices)
    table = matplotlib.colormaps[colors](np.linspace(0, 1, _LEVELS))
    picture.putpalette((table[:, :3] * 255).round().astype(np.uint8).tobytes())
    return _data_uri(picture)


def overlaid(
    image: UInt8[np.ndarray, "height width channels"],
    values: Float[np.ndarray, "rows columns"],
    *,
    max_side: int,
) -> str:
    """Returns an image in gray under a smaller map in colors, as a data URI.

    Args:
        image: uint8 [height, width, channels].
        values: at least 0; the map is enlarged to the image.
        max_side: larger images are scaled down to this many pixels on their longer side.
    """
    with installed_with("report"):
        import matplotlib

    shown = displayed(image)
    # In gray, so that all color is the map's.
    gray = Image.fromarray(shown[..., 0] if shown.shape[-1] == 1 else shown).convert("L")
    gray.thumbnail((max_side, max_side), Image.Resampling.BOX)
    high = value_range(values)[1]
    unit = np.nan_to_num(values.astype(np.float32)) / (high if high > 0 else 1.0)
    enlarged = Image.fromarray(unit).resize(gray.size, Image.Resampling.BILINEAR)
    colors = matplotlib.colormaps["viridis"](np.clip(np.asarray(enlarged), 0, 1))[..., :3]
    blend = 0.45 * np.asarray(gray)[..., None] / 255 + 0.55 * colors
    return _smooth_uri(Image.fromarray((blend * 255).round().astype(np.uint8)))


def color_tile(pixels: Float[np.ndarray, "height width channels"]) -> str:
    """Returns gray or RGB values as a data URI.

    Args:
        pixels: values in 0..1, [height, width, 1 or 3].
    """
    values = (np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)
    return _data_uri(Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values))


def rescaled(
    pixels: Float[np.ndarray, "height width channels"],
) -> Float[np.ndarray, "height width shown"]:
    """Returns any values scaled to 0..1, from the smallest to the largest; gray or RGB.

    Args:
        pixels: values [height, width, channels], finite or not; of other than 1 or 3 channels the
            mean is shown.
    """
    if pixels.shape[-1] not in (1, 3):
        pixels = pixels.mean(axis=-1, keepdims=True)
    low, high = value_range(pixels)
    return (np.nan_to_num(pixels) - low) / (high - low if high > low else 1.0)


def boxed(
    values: Float[np.ndarray, "height width"],
    corner: tuple[int, int],
    extent: tuple[int, int],
    *,
    side: int,
) -> str:
    """Returns a map as colors with a white box around a part, as a data URI.

    Args:
        values: values in 0..1, [height, width].
        corner: the box's first row and column; the box is cut at the map's border.
        extent: the box's rows and columns.
        side: pixels of the picture's longer side.
    """
    with installed_with("report"):
        import matplotlib
        from PIL import ImageDraw

    colors = matplotlib.colormaps["viridis"](np.clip(values, 0, 1))[..., :3]
    picture = Image.fromarray((colors * 255).round().astype(np.uint8))
    height, width = values.shape
    scale = side / max(height, width)
    size = (round(width * scale), round(height * scale))
    # Without smoothing, a pixel of the map is a square that can be counted.
    picture = picture.resize(size, Image.Resampling.NEAREST)
    (top, left), (rows, columns) = corner, extent
    box = (
        max(left, 0) * scale,
        max(top, 0) * scale,
        min(left + columns, width) * scale - 1,
        min(top + rows, height) * scale - 1,
    )
    ImageDraw.Draw(picture).rectangle(box, outline=(255, 255, 255), width=2)
    return _data_uri(picture.quantize(_LEVELS))


def value_range(values: Shaped[np.ndarray, "*any"]) -> tuple[float, float]:
    """Returns the smallest and the largest finite value; (0, 1) if there is none.

    Args:
        values: any numbers.
    """
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    return float(finite.min()), float(finite.max())


def _smooth_uri(picture: Image.Image) -> str:
    """Returns a picture as a data URI: a large one as JPEG, a small one with its very pixels."""
    if max(picture.size) > _SMALL_SIDE:
        return _data_uri(picture, "JPEG", quality=85)
    return _data_uri(picture)


def _data_uri(picture: Image.Image, form: str = "PNG", **options: int) -> str:
    stream = io.BytesIO()
    picture.save(stream, format=form, optimize=True, **options)
    content = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/{form.lower()};base64,{content}"
