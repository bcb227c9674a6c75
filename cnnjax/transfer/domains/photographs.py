"""Photographs, and images blended with cuts of them, as MNIST-M is made of MNIST."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from cnnjax import data
from cnnjax.extras import installed_with
from cnnjax.transfer.domains.transforms import Changed, Image, Transform, as_rgb

Photograph = UInt8[np.ndarray, "_ _ 3"]

_SUFFIXES = (".jpg", ".jpeg", ".png")


def photographs(folder: str | Path | None = None, shrink: int = 1) -> tuple[Photograph, ...]:
    """Returns photographs as arrays.

    Args:
        folder: with JPEG and PNG files, at any depth, such as the training images of BSDS500; None
            for the two photographs that ship inside scikit-learn, a palace and a flower.
        shrink: by which whole number height and width are divided, so that a small cut shows more;
            each new pixel is the mean of those that it replaces.

    Returns:
        RGB photographs, uint8, in the order of their paths.

    Raises:
        DataError: there is no such folder, no photograph in it, or one that cannot be read.
        ValueError: `shrink` is no whole number from 1 on, or larger than a photograph.
    """
    if not isinstance(shrink, int) or isinstance(shrink, bool) or shrink < 1:
        raise ValueError(f"photographs: shrink must be a whole number from 1 on, got {shrink!r}")
    found = _embedded() if folder is None else _read(Path(folder))
    return tuple(_shrunk(photograph, shrink) for photograph in found)


@dataclass(frozen=True, eq=False)
class Blended(Transform):
    """The difference of an image and a random cut of a photograph: |image - cut| by channel.

    Where the image is black, the photograph is seen; where it is white, its negative.

    Attributes:
        photographs: RGB, uint8; by default scikit-learn's two, with sides divided by four.

    Raises:
        ValueError: there are no photographs, or they are no RGB images.

    Source: Ganin et al. 2016, section 5.2.4: MNIST-M, whose photographs are those of BSDS500.
    """

    photographs: tuple[Photograph, ...] = field(
        default_factory=lambda: photographs(shrink=4), repr=False
    )

    def __post_init__(self) -> None:
        """Refuses what are no photographs."""
        if not self.photographs:
            raise ValueError("blended: there are no photographs; give at least one")
        for photograph in self.photographs:
            shape, dtype = np.shape(photograph), getattr(photograph, "dtype", None)
            if len(shape) != 3 or shape[-1] != 3 or dtype != np.uint8:
                raise ValueError(
                    f"blended: photographs are uint8 [height, width, 3], got {dtype} {shape}"
                )

    def __call__(self, image: Image, generator: np.random.Generator) -> Changed:
        """Returns the blended image, with three channels.

        Args:
            image: gray or RGB.
            generator: draws photograph and place of the cut.

        Raises:
            ValueError: the image has neither one channel nor three, or is larger than the
                photograph.
        """
        height, width = image.shape[:2]
        photograph = self.photographs[generator.integers(len(self.photographs))]
        free = photograph.shape[0] - height, photograph.shape[1] - width
        if min(free) < 0:
            raise ValueError(
                f"blended: images of {height}x{width} do not fit into a photograph of "
                f"{photograph.shape[0]}x{photograph.shape[1]}; give larger photographs"
            )
        top, left = (int(generator.integers(most + 1)) for most in free)
        cut = photograph[top : top + height, left : left + width].astype(np.int16)
        return np.abs(as_rgb("blended", image) - cut).astype(np.uint8)

    def describe(self) -> dict[str, Any]:
        """Returns the transform's name and a digest of the photographs."""
        return {"transform": type(self).__name__, "photographs": self._digest}

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for photograph in self.photographs:
            digest.update(repr(photograph.shape).encode() + photograph.tobytes())
        return digest.hexdigest()[:16]


def _embedded() -> list[Photograph]:
    with installed_with("train"):
        from sklearn.datasets import load_sample_images
    return [np.asarray(image, np.uint8) for image in load_sample_images().images]


def _read(folder: Path) -> list[Photograph]:
    if not folder.is_dir():
        raise data.DataError(f"photographs: {folder} is no folder; give one with JPEG or PNG files")
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _SUFFIXES]
    if not paths:
        raise data.DataError(f"photographs: there is no JPEG or PNG file in {folder}")
    with installed_with("train"):
        from PIL import Image as Pillow
    found = []
    for path in paths:
        try:
            with Pillow.open(path) as opened:
                found.append(np.asarray(opened.convert("RGB")))
        except OSError as error:
            raise data.DataError(
                f"photographs: {path} cannot be read ({error}); remove it"
            ) from error
    return found


def _shrunk(photograph: Photograph, shrink: int) -> Photograph:
    height, width = photograph.shape[0] // shrink, photograph.shape[1] // shrink
    if not height or not width:
        raise ValueError(
            f"photographs: shrink={shrink} leaves nothing of a photograph of "
            f"{photograph.shape[0]}x{photograph.shape[1]}; give less"
        )
    # Rows and columns that do not fill a block are cut off.
    blocks = photograph[: height * shrink, : width * shrink]
    blocks = blocks.reshape(height, shrink, width, shrink, 3)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
