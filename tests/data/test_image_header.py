"""The size of an image is compared with the limit before memory is taken for it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cnnjax import data
from cnnjax.data.read.decode import decode_image
from cnnjax.data.read.image_header import BrokenHeader, stored_size
from tests.helpers.processes import run_python

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "JPEG2000", "AVIF", "PPM")

# Decodes the file of its argument, and prints how many more megabytes that took at most.
PROGRAM = """
import resource, sys
from cnnjax.data.read.decode import DamagedImage, decode_image, opencv
from cnnjax.data.read.image_header import _openers
content = open(sys.argv[1], "rb").read()
opencv(), _openers()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(decode_image(content).shape)
except DamagedImage as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def encoded(form: str, width: int = 30, height: int = 20, **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def png_chunk(kind: bytes, content: bytes, length: int | None = None) -> bytes:
    stated = len(content) if length is None else length
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", stated) + kind + content + struct.pack(">I", checksum)


def plain_png(width: int, height: int) -> bytes:
    """A gray PNG of one level, made without its pixels in memory."""
    packer = zlib.compressobj(9)
    rows = [packer.compress(bytes((width // 8 + 1) * 100)) for _ in range(height // 100)]
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
        + png_chunk(b"IDAT", b"".join(rows) + packer.flush())
        + png_chunk(b"IEND", b"")
    )


def decoded_apart(content: bytes, tmp_path) -> tuple[str, int]:
    """What decoding in a process of its own printed, and the megabytes that it took."""
    (tmp_path / "image").write_bytes(content)
    done = run_python("-c", PROGRAM, tmp_path / "image")
    assert done.returncode == 0, done.stderr
    message, megabytes = done.stdout.splitlines()
    return message, int(megabytes)


@pytest.mark.parametrize("form", FORMATS)
def test_the_size_is_that_of_the_image(form):
    content = encoded(form)
    assert stored_size(content) == (30, 20)
    assert decode_image(content, max_pixels=600).shape == (20, 30, 3)
    with pytest.raises(data.DamagedImage) as raised:
        decode_image(content, max_pixels=599)
    assert str(raised.value) == "it has 30x20 pixels, more than the 599 that --max_pixels allows"


@pytest.mark.parametrize("form", FORMATS)
def test_a_cut_header_is_damage(form):
    content = encoded(form)
    for length in (0, 4, 9, 12, 20):
        with pytest.raises(data.DamagedImage):
            decode_image(content[:length])


def test_other_files_have_no_size():
    for content in (b"", b"text", b"%PDF-1.7", b"#?RADIANCE\n", b"GIF89a"):
        with pytest.raises(BrokenHeader, match="in no format that is read"):
            stored_size(content)


def test_an_image_of_more_pixels_than_pillow_allows_is_a_matter_of_our_limit(tmp_path):
    # No warning either: the tests raise them as errors.
    assert stored_size(plain_png(30_000, 30_000)) == (30_000, 30_000)
    bitmap = encoded("BMP")
    large = bitmap[:18] + struct.pack("<ii", 30_000, 30_000) + bitmap[26:]
    assert stored_size(large) == (30_000, 30_000)


@pytest.mark.process
def test_a_small_file_of_many_pixels_takes_no_memory(tmp_path):
    content = plain_png(30_000, 30_000)
    assert len(content) < 150_000
    message, megabytes = decoded_apart(content, tmp_path)
    assert message == (
        "it has 30000x30000 pixels, more than the 178,956,970 that --max_pixels allows"
    )
    assert megabytes < 50


@pytest.mark.process
def test_a_chunk_that_states_gigabytes_takes_no_memory(tmp_path):
    content = encoded("PNG")
    broken = content[:33] + png_chunk(b"tEXt", b"short", 0xF0000000) + content[33:]
    message, megabytes = decoded_apart(broken, tmp_path)
    assert "the length of a chunk, 4026531840, is wrong" in message
    assert megabytes < 50


def test_a_png_with_a_large_text_is_read():
    content = encoded("PNG")
    text = png_chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(3_000_000)))
    with_text = content[:33] + text + content[33:]
    np.testing.assert_array_equal(decode_image(with_text), decode_image(content))


@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
def test_a_png_without_its_end_is_damaged(share):
    content = encoded("PNG", 200, 100)
    with pytest.raises(data.DamagedImage, match="its end is missing"):
        decode_image(content[: int(share * len(content))])


def test_streamed_images_that_are_too_large_count_as_damaged(photographs):
    found = data.dataset(f"folder:{photographs}")
    framing = data.Framing(8, 8)
    sizes = []
    whole = data.load_examples(found, "test", framing=framing)
    for position in range(7):
        with Image.open(whole.name(position)) as image:
            sizes.append(image.width * image.height)
    limit = sorted(sizes)[3]
    examples = data.load_examples(found, "test", framing=framing, max_pixels=limit)
    reader = data.Reader(examples, data.EvaluationOrder(7, 7))
    (batch,) = reader.batches()
    assert batch["weight"].tolist() == [float(size <= limit) for size in sizes]
    assert all("that --max_pixels allows" in problem for problem in reader.damaged.values())


@pytest.mark.parametrize("given", [{"max_damaged": -1}, {"max_pixels": 0}])
def test_read_options_that_allow_nothing_are_refused(given):
    with pytest.raises(ValueError, match=r"give 0 images or more, and 1 pixel or more"):
        data.ReadOptions(**given)


@pytest.mark.filterwarnings("ignore")
def test_random_damage_is_damage_or_an_image_within_the_limit():
    generator = np.random.default_rng(0)
    files = [encoded(form) for form in FORMATS]
    outcomes = {"image": 0, "damage": 0}
    for _ in range(3000):
        content = bytearray(files[generator.integers(len(files))])
        for _ in range(generator.integers(1, 4)):
            place = generator.integers(min(len(content), generator.choice([64, 10_000])))
            run = int(generator.integers(1, 5))
            content[place : place + run] = bytes([generator.choice([0, 1, 127, 255])] * run)
        try:
            image = decode_image(bytes(content), max_pixels=1000)
        except data.DamagedImage:
            outcomes["damage"] += 1
        else:
            assert image.size <= 3000
            outcomes["image"] += 1
    assert min(outcomes.values()) > 300
