"""MNIST, Fashion-MNIST and CIFAR-10 in the files of their authors, checked by their digests."""

import hashlib
import math
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8

from cnnjax import digests
from cnnjax.data.errors import DataError
from cnnjax.data.prepare.packed_files import read_gzip, read_tar, read_xz, require_file


class OriginalSplit(NamedTuple):
    """A split as its authors published it."""

    images: UInt8[np.ndarray, "examples height width channels"]
    labels: Int32[np.ndarray, " examples"]


Splits = dict[str, OriginalSplit]

IDX_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
"""Files of the images and labels of each split; MNIST and Fashion-MNIST use the same names."""

# SHA-256 of the published files, which TFDS also uses to check downloads.
_IDX_DIGESTS = {
    "mnist": {
        "train-images-idx3-ubyte.gz": (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        "train-labels-idx1-ubyte.gz": (
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte.gz": (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        "train-labels-idx1-ubyte.gz": (
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
        ),
    },
}

CIFAR10_FILES = {
    "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
    "test": ("test_batch",),
}
"""The files of each split within the "python version"."""

# MD5 of the published files, since their author gives this digest and loaders check it.
_CIFAR10_DIGESTS = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}

_CIFAR10_ARCHIVE = "cifar-10-python.tar.gz"
_CIFAR10_MEMBERS = "cifar-10-batches-py"


def read_mnist(folder: Path) -> Splits:
    """Reads MNIST's four .gz files; see `read_original`.

    Args:
        folder: folder of the files.
    """
    return _read_idx_set("mnist", folder)


def read_fashion_mnist(folder: Path) -> Splits:
    """Reads Fashion-MNIST's four .gz files; see `read_original`.

    Args:
        folder: folder of the files.
    """
    return _read_idx_set("fashion_mnist", folder)


def read_cifar10(folder: Path) -> Splits:
    """Reads CIFAR-10's six batches; see `read_original`.

    Args:
        folder: folder of the batches, each as published or compressed by xz (`.xz`), or of
            `cifar-10-python.tar.gz`, which contains all.
    """
    splits = {}
    contents = _cifar10_contents(folder)
    for split, names in CIFAR10_FILES.items():
        batches = []
        for name in names:
            content = contents(name)
            # Some systems refuse MD5, unless it is declared not to be for security.
            digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
            _check_digest(f"{folder}: {name}", digest, _CIFAR10_DIGESTS[name], {})
            # The digest is that of the published file, so that it is safe to unpickle.
            # Python 2 wrote it, with strings of bytes.
            batches.append(pickle.loads(content, encoding="latin1"))
        planes = np.concatenate([batch["data"] for batch in batches])
        # The files store each image as a red, a green and a blue plane.
        images = planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        labels = np.concatenate([batch["labels"] for batch in batches])
        splits[split] = OriginalSplit(np.ascontiguousarray(images), labels.astype(np.int32))
    return splits


READERS: Mapping[str, Callable[[Path], Splits]] = {
    "mnist": read_mnist,
    "fashion_mnist": read_fashion_mnist,
    "cifar10": read_cifar10,
}
"""For each set, the function that reads its original files."""


def read_original(name: str, folder: Path) -> Splits:
    """Reads a set from the files its authors published.

    Args:
        name: one of `READERS`.
        folder: folder of the files.

    Returns:
        Images and labels per split, in the order of the files.

    Raises:
        DataError: the folder or a file is missing, or a file is not the published one (the message
            names both digests, and the set that the file belongs to if it is known).
    """
    if not os.path.isdir(folder):
        raise DataError(f"source: there is no folder {folder}")
    return READERS[name](folder)


def _read_idx_set(name: str, folder: Path) -> Splits:
    others = {
        digest: other
        for other, digests in _IDX_DIGESTS.items()
        for digest in digests.values()
        if other != name
    }
    # All files are checked first, so that no unknown content is decompressed.
    for file, expected in _IDX_DIGESTS[name].items():
        path = folder / file
        if not path.exists():
            raise DataError(
                f"source: {folder} has no {file}; {name} needs {', '.join(_IDX_DIGESTS[name])}"
            )
        _check_digest(str(path), digests.of_file(require_file(path)), expected, others)
    return {
        split: OriginalSplit(
            read_idx(folder / images)[..., None], read_idx(folder / labels).astype(np.int32)
        )
        for split, (images, labels) in IDX_FILES.items()
    }


def read_idx(path: Path) -> np.ndarray:
    """Reads a gzipped IDX file of unsigned bytes.

    The format is MNIST's: two zero bytes, the type (8), the number of dimensions, each dimension as
    a big-endian 32-bit integer, the values.

    Args:
        path: the file.

    Raises:
        DataError: the file has another format, or its header another number of values.
    """
    content = read_gzip(path)
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise DataError(f"source: {path} is no IDX file of unsigned bytes")
    rank = content[3]
    start = 4 + 4 * rank
    if len(content) < start:
        raise DataError(
            f"source: {path} has {len(content)} bytes; its header of {rank} dimensions has {start}"
        )
    shape = np.frombuffer(content, ">u4", rank, offset=4).tolist()
    values = np.frombuffer(content[start:], np.uint8)
    # Python's numbers do not overflow, whatever the header holds.
    if values.size != math.prod(shape):
        raise DataError(f"source: {path} holds {values.size} values, its header has {shape}")
    return values.reshape(shape)


def _cifar10_contents(folder: Path) -> Callable[[str], bytes]:
    """Returns a function from the name of a batch file to its content."""

    def from_files(name: str) -> bytes:
        if (folder / name).exists():
            return require_file(folder / name).read_bytes()
        if (folder / f"{name}.xz").exists():
            return read_xz(folder / f"{name}.xz")
        raise DataError(f"source: {folder} has neither {name} nor {name}.xz nor {_CIFAR10_ARCHIVE}")

    archive = folder / _CIFAR10_ARCHIVE
    if not archive.exists():
        return from_files
    members = read_tar(archive, _CIFAR10_MEMBERS)

    def from_archive(name: str) -> bytes:
        if name not in members:
            raise DataError(f"source: {archive} has no {_CIFAR10_MEMBERS}/{name}")
        return members[name]

    return from_archive


def _check_digest(file: str, digest: str, expected: str, others: Mapping[str, str]) -> None:
    if digest != expected:
        owner = f"; it is {others[digest]}'s" if digest in others else ""
        raise DataError(
            f"source: {file} is not the published file{owner}: its digest is {digest}, "
            f"expected {expected}"
        )
