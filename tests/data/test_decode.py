import io

import numpy as np
import pytest
from PIL import Image

from cnnjax.data.read.decode import DamagedImage, decode_image


def encoded(pixels: np.ndarray, form: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def color():
    return np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)


def test_png_is_read_exactly_in_rgb_order(color):
    np.testing.assert_array_equal(decode_image(encoded(color, "PNG")), color)


def test_gray_is_read_exactly_with_one_channel(color):
    gray = color[..., 0]
    np.testing.assert_array_equal(decode_image(encoded(gray, "PNG"), 1), gray[..., None])


def test_jpeg_is_read_as_pillow_reads_it():
    smooth = np.linspace(0, 255, 40 * 30 * 3).reshape(40, 30, 3).astype(np.uint8)
    content = encoded(smooth, "JPEG", quality=95)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    # Decoders may round and upsample color differently.
    assert np.abs(decode_image(content).astype(int) - expected).mean() < 1


def test_an_image_is_turned_upright(color):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a turn by 90 degrees clockwise
    turned = decode_image(encoded(color, "JPEG", quality=100, exif=exif.tobytes()))
    assert turned.shape == (13, 9, 3)


def test_bytes_after_the_end_do_no_harm(color):
    content = encoded(color, "JPEG")
    np.testing.assert_array_equal(decode_image(content + b"\0" * 100), decode_image(content))


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "header"])
def test_damage_is_noticed(damage):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = encoded(pixels, "JPEG")
    damaged = {
        "cut": content[: len(content) // 2],
        "text": b"not an image at all",
        "empty": b"",
        "header": content[:20],
    }[damage]
    with pytest.raises(DamagedImage):
        decode_image(damaged)
