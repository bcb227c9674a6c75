"""Image files brought to the form of a dataset's images."""

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from cnnjax.data.folders import IMAGE_SUFFIXES
from cnnjax.data.read.decode import MAX_PIXELS, DamagedImage, decode_image, opencv
from cnnjax.data.read.framing import Box, Framing
from cnnjax.data.user_files import read_regular
from cnnjax.training.errors import ConfigError

Image = UInt8[np.ndarray, "height width channels"]


class ImageForm(NamedTuple):
    """The form of a dataset's images.

    Attributes:
        shape: height, width and channels (1 or 3).
        framing: how photographs of any size get that shape, as in evaluation; None for a cut to the
            shape's proportions around the center, then a resize.
    """

    shape: tuple[int, int, int]
    framing: Framing | None = None


class ReadImage(NamedTuple):
    """An image file that was read, or that could not be read.

    Attributes:
        path: the file.
        image: uint8 pixels, None if it is damaged.
        problem: what is wrong with it, "" if nothing is.
        seen: the part of the file's pixels that `image` shows; None if it is damaged.
    """

    path: Path
    image: Image | None
    problem: str = ""
    seen: Box | None = None


def find_images(paths: Sequence[str | Path]) -> list[Path]:
    """Returns image files: those of `paths`, and all below its folders, in alphabetical order.

    Pipes, sockets, devices and broken links below a folder are returned too, if they end as images
    do, so that `read_images` reports them.

    Args:
        paths: files, whatever their names, and folders.

    Raises:
        ConfigError: a path does not exist or is neither file nor folder, or a folder holds no file
            that ends as images do; all of them are named.
    """
    found, problems = [], []
    for path in map(Path, paths):
        try:
            kind = stat.S_IFMT(path.stat().st_mode)
        except (OSError, ValueError):
            kind = None
        if kind == stat.S_IFDIR:
            inside = sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in IMAGE_SUFFIXES and not file.is_dir()
            )
            if not inside:
                problems.append(
                    f"{path}: the folder holds no image ({', '.join(sorted(IMAGE_SUFFIXES))})"
                )
            found += inside
        elif kind == stat.S_IFREG:
            found.append(path)
        elif kind is not None:
            # A named pipe would be waited for, and a device may have no end.
            problems.append(f"{path}: it is neither a regular file nor a folder")
        else:
            problems.append(f"{path}: there is no such file or folder")
    if problems:
        raise ConfigError("cannot find images:\n  " + "\n  ".join(problems))
    return found


def check_images(paths: Sequence[str | Path], max_pixels: int = MAX_PIXELS) -> None:
    """Refuses image files that cannot be read, before any work.

    Args:
        paths: the files.
        max_pixels: larger images count as damaged.

    Raises:
        ConfigError: some cannot be read; all of them are named.
    """
    # Any form will do: only decoding can fail.
    read = read_images(paths, ImageForm((1, 1, 3)), max_pixels=max_pixels)
    problems = [f"{image.path}: {image.problem}" for image in read if image.image is None]
    if problems:
        raise ConfigError("cannot read images:\n  " + "\n  ".join(problems))


def read_images(
    paths: Sequence[str | Path],
    form: ImageForm,
    invert: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[ReadImage]:
    """Reads image files one by one; for a damaged one it yields the problem, and goes on.

    Args:
        paths: files in a format that OpenCV reads.
        form: the form of the images that are returned.
        invert: whether light and dark are swapped.
        max_pixels: larger images count as damaged, and are not decoded.
    """
    for path in map(Path, paths):
        try:
            image = decode_image(read_regular(path), form.shape[2], max_pixels)
        except (OSError, DamagedImage) as error:
            yield ReadImage(path, None, str(error))
            continue
        seen = _seen(image.shape[:2], form)
        fitted = (
            _fitted(image, seen, form.shape)
            if form.framing is None
            else form.framing.evaluate(image)
        )
        yield ReadImage(path, 255 - fitted if invert else fitted, seen=seen)


def _seen(size: tuple[int, ...], form: ImageForm) -> Box:
    """Returns the part around the center of a file's image that has the form's proportions."""
    if form.framing is not None:
        return form.framing.box(size[0], size[1])
    height, width, _ = form.shape
    scale = min(size[0] / height, size[1] / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    return Box((size[0] - rows) // 2, (size[1] - columns) // 2, rows, columns)


def _fitted(
    image: Image, seen: Box, shape: tuple[int, int, int]
) -> UInt8[np.ndarray, "out_height out_width channels"]:
    """Cuts a part out of an image, then resizes it."""
    height, width, channels = shape
    cut = image[seen.top : seen.top + seen.height, seen.left : seen.left + seen.width]
    scale = min(image.shape[0] / height, image.shape[1] / width)
    cv2 = opencv()
    # INTER_AREA averages over the pixels that become one, which avoids aliasing.
    method = cv2.INTER_AREA if scale >= 1 else cv2.INTER_LINEAR
    return cv2.resize(cut, (width, height), interpolation=method).reshape(height, width, channels)
