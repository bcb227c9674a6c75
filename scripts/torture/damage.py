"""Damages of a file: what a bad disk, a bad copy or a bad neighbor does to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np


def flip_a_bit(path: Path, generator: np.random.Generator, outside: Path) -> None:
    """Flips one bit.

    Args:
        path: the file.
        generator: chooses the bit.
        outside: not used.
    """
    content = bytearray(path.read_bytes()) or bytearray(1)
    content[generator.integers(len(content))] ^= 1 << int(generator.integers(8))
    path.write_bytes(content)


def _halve(path: Path, generator: np.random.Generator, outside: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _garbage(path: Path, generator: np.random.Generator, outside: Path) -> None:
    path.write_bytes(generator.bytes(max(path.stat().st_size, 16)))


def _text(text: str) -> Callable[[Path, np.random.Generator, Path], None]:
    def write(path: Path, generator: np.random.Generator, outside: Path) -> None:
        path.write_text(text)

    return write


def _folder(path: Path, generator: np.random.Generator, outside: Path) -> None:
    path.unlink()
    path.mkdir()


def _dangling(path: Path, generator: np.random.Generator, outside: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "gone")


def _loop(path: Path, generator: np.random.Generator, outside: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def _planted(path: Path, generator: np.random.Generator, outside: Path) -> None:
    path.unlink()
    path.symlink_to(outside)


class _Writer:
    """Its pickle writes into a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.write_bytes, (self.path, b"a pickle was executed")


def _pickle(path: Path, generator: np.random.Generator, outside: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([_Writer(outside)], object), allow_pickle=True)


def _remove(path: Path, generator: np.random.Generator, outside: Path) -> None:
    path.unlink()


DAMAGES: Mapping[str, Callable[[Path, np.random.Generator, Path], None]] = {
    "with one bit flipped": flip_a_bit,
    "cut to its half": _halve,
    "empty": _text(""),
    "of random bytes": _garbage,
    "holding []": _text("[]"),
    "holding {}": _text("{}"),
    "holding null": _text("null"),
    "holding 5": _text("5"),
    "holding an array of pickled objects": _pickle,
    "replaced by a folder": _folder,
    "replaced by a dangling link": _dangling,
    "replaced by a link to itself": _loop,
    "replaced by a link to a precious file": _planted,
    "removed": _remove,
}
"""Functions of a file, a random generator, and a file outside that must not change."""


def kind_of(file: Path) -> str:
    """Returns the kind of a file, so that each kind is damaged equally often.

    Args:
        file: the path within its folder.
    """
    digits = "".join(character for character in file.name if not character.isdecimal())
    top, *inner = str(file.parent).split("/")
    if top == "checkpoints" and len(inner) > 1:
        # The chunks of arrays have names of many characters.
        return f"{'/'.join(inner[1:])}/{digits if len(file.name) < 24 else 'chunk'}"
    if top == "tensorboard":
        return top
    return digits


def damage_one(
    folder: Path, generator: np.random.Generator, scratch: Path
) -> tuple[Path, str, Path]:
    """Damages one file of a folder.

    Args:
        folder: the folder.
        generator: chooses the file and the damage.
        scratch: where a precious file is made.

    Returns:
        The file within the folder, the damage in words, and the precious file.
    """
    kinds: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            kinds.setdefault(kind_of(path.relative_to(folder)), []).append(path)
    files = kinds[sorted(kinds)[generator.integers(len(kinds))]]
    # The newest checkpoint's file twice as often: it is the one that is read.
    path = files[-1] if generator.random() < 0.5 else files[generator.integers(len(files))]
    name = list(DAMAGES)[generator.integers(len(DAMAGES))]
    precious = scratch / "precious"
    shutil.copy(path, precious)
    DAMAGES[name](path, generator, precious)
    return path.relative_to(folder), name, precious
