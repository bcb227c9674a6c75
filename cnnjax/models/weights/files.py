"""Safetensors files, opened without executing anything."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cnnjax.models.weights.mismatch import WeightsError

# The first bytes of PyTorch's files: zip archives and pickles.
_PICKLES = (b"PK\x03\x04", b"\x80")

# Distributed training wraps a network in another one, which adds this prefix to its names.
WRAPPER = "module."

# The format has others too, some of which NumPy cannot hold.
_FLOATING = ("F64", "F32", "F16", "BF16")


class TensorFile:
    """An open safetensors file; arrays are read one at a time.

    Attributes:
        shapes: of the arrays, by name, without the prefix "module.", renamed.
    """

    def __init__(self, opened: Any, path: Path, rename: Callable[[str], str]) -> None:
        """Reads the names and shapes."""
        self._opened = opened
        self._path = path
        self._stored = {}
        for stored in opened.keys():  # noqa: SIM118 (no mapping)
            name = rename(stored.removeprefix(WRAPPER))
            if name in self._stored:
                raise WeightsError(f"{path} has both {stored} and {self._stored[name]}")
            self._stored[name] = stored
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(opened.get_slice(stored).get_shape())
            for name, stored in self._stored.items()
        }

    def read(self, name: str) -> np.ndarray:
        """Returns one array.

        Args:
            name: one of `shapes`.

        Raises:
            WeightsError: the array is not of floating-point numbers of 16 bits or more.
        """
        stored = self._stored[name]
        dtype = self._opened.get_slice(stored).get_dtype()
        if dtype not in _FLOATING:
            raise WeightsError(
                f"{self._path}: {name} has the dtype {dtype}; weights are floating, one of "
                f"{', '.join(_FLOATING)}"
            )
        return self._opened.get_tensor(stored)


@contextlib.contextmanager
def open_tensors(
    path: str | os.PathLike[str], rename: Callable[[str], str] = str
) -> Iterator[TensorFile]:
    """Opens a safetensors file within the block.

    Args:
        path: of the file.
        rename: the name under which an array is found, from its name in the file.

    Yields:
        The file.

    Raises:
        FileNotFoundError: there is no such file.
        WeightsError: the file is a pickle, is damaged, or is something else.
    """
    import safetensors

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of weights {path}")
    try:
        opened = safetensors.safe_open(path, framework="numpy")
    except safetensors.SafetensorError as error:
        # Only after the failure: a safetensors file starts with a length, which may be any bytes.
        with path.open("rb") as file:
            pickled = file.read(4).startswith(_PICKLES)
        raise WeightsError(
            f"{path} is a PyTorch checkpoint, which can execute code when it is read; where torch "
            f"is installed, turn it into safetensors: python -m scripts.convert_torch_weights "
            f"{path} {path.with_suffix('.safetensors')}"
            if pickled
            else f"{path} is not a safetensors file, or is damaged: {error}"
        ) from None
    with opened as tensors:
        yield TensorFile(tensors, path, rename)


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raises an error if the folder of a new file does not exist.

    Args:
        path: of the file to write.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    folder = Path(path).parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {folder}")
