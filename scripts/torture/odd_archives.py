"""Odd archives where published files are expected: each is refused by name."""

from __future__ import annotations

import functools
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from scripts.torture.attack import Attack, Outcome, failed, held
from scripts.torture.processes import memory_limit, run_command

_GIGABYTES = 1
_USAGE_ERROR = 2
_BOMB = 1_300 * 2**20

_CIFAR = "cifar-10-python.tar.gz"
_BATCH = "cifar-10-batches-py/data_batch_1"
_MNIST = "train-images-idx3-ubyte.gz"

Draw = np.random.Generator


def attempt(generator: Draw, scratch: Path) -> list[Outcome]:
    """Prepares a set from an odd archive.

    Args:
        generator: chooses the archive.
        scratch: an empty folder.
    """
    name = list(ODD)[generator.integers(len(ODD))]
    source, outside = scratch / "source", scratch / "outside"
    source.mkdir()
    outside.write_text("precious")
    ODD[name](source, generator)
    dataset = "mnist" if name.startswith("mnist") else "cifar10"
    arguments = ["prepare", dataset, f"--source={source}", f"--data_dir={scratch / 'data'}"]
    ended = run_command(arguments, scratch / "log", limits=[memory_limit(_GIGABYTES)])
    if fault := ended.fault():
        return failed(f"{name}: {fault}")
    if ended.code != _USAGE_ERROR:
        return failed(f"{name}: exit code {ended.code} instead of {_USAGE_ERROR}")
    if sorted(path.name for path in scratch.iterdir() if path.name != "data") != [
        *("log", "outside", "source")
    ]:
        return failed(f"{name}: something was written outside of the data folder")
    if outside.read_text() != "precious":
        return failed(f"{name}: a file outside was changed")
    return held(f"{name}: exit code {ended.code}")


def _tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def _sound() -> bytes:
    return _tar(_member(_BATCH, bytes(range(256)) * 64))


@functools.cache
def _bomb() -> bytes:
    """Returns a small archive whose batch has more bytes than the memory allows."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1) as file:
        info = tarfile.TarInfo(_BATCH)
        info.size = _BOMB
        file.write(info.tobuf())
        for _ in range(_BOMB // 2**20):
            file.write(bytes(2**20))
    return stream.getvalue()


@functools.cache
def _xz_bomb() -> bytes:
    packer = lzma.LZMACompressor(preset=0)
    parts = [packer.compress(bytes(2**20)) for _ in range(_BOMB // 2**20)]
    return b"".join(parts) + packer.flush()


def _file(name: str, content: Callable[[Draw], bytes]) -> Callable[[Path, Draw], None]:
    def write(folder: Path, generator: Draw) -> None:
        (folder / name).write_bytes(content(generator))

    return write


def _cut(generator: Draw) -> bytes:
    whole = _sound()
    return whole[: int(generator.integers(1, len(whole)))]


def _link(kind: bytes) -> Callable[[Draw], bytes]:
    return lambda generator: _tar(_member(_BATCH, type=kind, linkname="../../outside"))


ODD: Mapping[str, Callable[[Path, Draw], None]] = {
    "a cut archive": _file(_CIFAR, _cut),
    "an empty archive": _file(_CIFAR, lambda generator: b""),
    "an archive of random bytes": _file(_CIFAR, lambda generator: generator.bytes(1000)),
    "an archive of random bytes in gzip": _file(
        _CIFAR, lambda generator: gzip.compress(generator.bytes(10_000))
    ),
    "an archive with a symbolic link": _file(_CIFAR, _link(tarfile.SYMTYPE)),
    "an archive with a hard link": _file(_CIFAR, _link(tarfile.LNKTYPE)),
    "an archive with a pipe": _file(_CIFAR, lambda g: _tar(_member(_BATCH, type=tarfile.FIFOTYPE))),
    "an archive with a path upwards": _file(
        _CIFAR, lambda generator: _tar(_member("cifar-10-batches-py/../../outside", b"x"))
    ),
    "an archive with a wrong batch": _file(_CIFAR, lambda generator: _sound()),
    "an archive of 1.3 GB of zeros": _file(_CIFAR, lambda generator: _bomb()),
    "a folder in the archive's place": lambda folder, generator: (folder / _CIFAR).mkdir(),
    "a pipe in the archive's place": lambda folder, generator: os.mkfifo(folder / _CIFAR),
    "a link to itself": lambda folder, generator: (folder / _CIFAR).symlink_to(_CIFAR),
    "random bytes as xz": _file("data_batch_1.xz", lambda generator: generator.bytes(500)),
    "1.3 GB of zeros in xz": _file("data_batch_1.xz", lambda generator: _xz_bomb()),
    "mnist: an empty file": _file(_MNIST, lambda generator: b""),
    "mnist: random bytes": _file(_MNIST, lambda generator: generator.bytes(500)),
    "mnist: a folder": lambda folder, generator: (folder / _MNIST).mkdir(),
    "mnist: a pipe": lambda folder, generator: os.mkfifo(folder / _MNIST),
    "mnist: an endless device": lambda folder, generator: (folder / _MNIST).symlink_to("/dev/zero"),
}
"""Functions that put an odd file into a folder of published files."""

ATTACK = Attack("archives", attempt, "odd archives where published files are expected")
