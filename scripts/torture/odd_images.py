"""Odd entries among images: each is reported or left out, in bounded time and memory."""

from __future__ import annotations

import functools
import os
import shutil
import socket
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from scripts.torture.attack import Attack, Outcome, failed, held
from scripts.torture.processes import memory_limit, run_command
from scripts.torture.small_run import small_run

_GIGABYTES = 3
_CLASSES = ("cup", "plate")

Draw = np.random.Generator


def attempt(generator: Draw, scratch: Path) -> list[Outcome]:
    """Puts odd entries into a folder of images, then predicts it or trains on it.

    Args:
        generator: chooses the entries and the use.
        scratch: an empty folder.
    """
    small = small_run()
    images = scratch / "images"
    for number, name in enumerate(_CLASSES):
        (images / name).mkdir(parents=True)
        for place in range(12):
            pixels = generator.integers(0, 128, (20, 20), dtype=np.uint8) + 100 * number
            (images / name / f"{place}.png").write_bytes(png(pixels.astype(np.uint8)))
    chosen = [list(ODD)[generator.integers(len(ODD))] for _ in range(generator.integers(1, 3))]
    for number, name in enumerate(chosen):
        ODD[name](images / _CLASSES[number], generator)
    use = ("predict", "train")[generator.integers(2)]
    story = f"{', '.join(chosen)}; {use}"
    if use == "predict":
        arguments = ["predict", f"--workdir={small.finished}", f"--data_dir={small.data}"]
        arguments += [f"--output={scratch / 'predictions.csv'}", str(images)]
    else:
        arguments = ["train", "--config=lenet5_digits", f"--config.data.name=folder:{images}"]
        arguments += ["--config.data.batch_size=4", "--config.epochs=1", "--noprogress"]
        arguments += ["--config.schedule.warmup_epochs=0", f"--workdir={scratch / 'run'}"]
    ended = run_command(arguments, scratch / "log", limits=[memory_limit(_GIGABYTES)])
    if fault := ended.fault():
        return failed(f"{story}: {fault}")
    if use == "predict" and ended.code in (0, 4):
        rows = (scratch / "predictions.csv").read_text().splitlines()
        if (
            len([row for row in rows if ".png," in row and "/plate/" in row and row[-1] == ","])
            < 12
        ):
            return failed(f"{story}: sound images have no prediction")
    return held(f"{story}: exit code {ended.code}")


def png(pixels: np.ndarray) -> bytes:
    """Returns a gray image as a PNG file.

    Args:
        pixels: uint8 [height, width].
    """
    height, width = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1)
    return _png(width, height, 8, zlib.compress(rows.tobytes()))


def _png(width: int, height: int, bits: int, data: bytes, more: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = [_chunk(b"IHDR", header), more, _chunk(b"IDAT", data), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


@functools.cache
def _bomb() -> bytes:
    """Returns a small file of 30,000 x 30,000 pixels."""
    side = 30_000
    packer = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    data = b"".join(packer.compress(row * 100) for _ in range(side // 100)) + packer.flush()
    return _png(side, side, 1, data)


def _good() -> bytes:
    return png(np.full((20, 20), 90, np.uint8))


def _socket(folder: Path, generator: Draw) -> None:
    # A socket's path is limited to 108 bytes, so that it is bound from within the folder.
    here = os.getcwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("odd.png")
    finally:
        os.chdir(here)


def _tree_loop(folder: Path, generator: Draw) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "up").symlink_to(folder)


def _file(content: Callable[[Draw], bytes], name: str = "odd.png") -> Callable[[Path, Draw], None]:
    def write(folder: Path, generator: Draw) -> None:
        (folder / name).write_bytes(content(generator))

    return write


def _named(name: bytes) -> Callable[[Path, Draw], None]:
    return _file(lambda generator: _good(), os.fsdecode(name))


def _second_folder(folder: Path, generator: Draw) -> None:
    shutil.copytree(folder, folder.parent / os.fsdecode(b"\xff\xfe"))


def _link(target: str) -> Callable[[Path, Draw], None]:
    return lambda folder, generator: (folder / "odd.png").symlink_to(target)


ODD: Mapping[str, Callable[[Path, Draw], None]] = {
    "an empty image": _file(lambda generator: b""),
    "a cut image": _file(lambda generator: _good()[: int(generator.integers(1, len(_good())))]),
    "random bytes": _file(lambda generator: generator.bytes(500)),
    "a text": _file(lambda generator: b"GIF89a, or so", "odd.gif"),
    "a bomb of 900 million pixels": _file(lambda generator: _bomb()),
    "a header of 2^31 pixels a side": _file(lambda g: _png(2**31 - 1, 2**31 - 1, 8, b"x")),
    "a header of no pixels": _file(lambda generator: _png(0, 0, 8, zlib.compress(b"\0"))),
    "a compressed text of 300 MB": _file(
        lambda generator: _png(
            *(2, 2, 8, zlib.compress(bytes(6))),
            _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(3 * 10**8), 9)),
        )
    ),
    "a named pipe": lambda folder, generator: os.mkfifo(folder / "odd.png"),
    "a socket": _socket,
    "a folder named as an image": lambda folder, generator: (folder / "odd.png").mkdir(),
    "a link to itself": _link("odd.png"),
    "a link to nothing": _link("gone.png"),
    "a link to an endless device": _link("/dev/zero"),
    "a link to a device of nothing": _link("/dev/null"),
    "a folder that contains itself": _tree_loop,
    "a name that is not UTF-8": _named(b"caf\xe9.png"),
    "a name with a line end": _named(b"a\nb.png"),
    "a name of 255 bytes": _named(b"a" * 251 + b".png"),
    "a class folder that is not UTF-8": _second_folder,
}
"""Functions that put an odd entry into a folder."""

ATTACK = Attack("images", attempt, "odd files, links, pipes and bombs among images", small_run)
