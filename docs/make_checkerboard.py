"""Draws what enlarging does to a map before any training: the checkerboard, and how to avoid it.

python docs/make_checkerboard.py

A constant map, a smooth one and a digit of 8x8 pixels pass two layers that double the size. Each
layer has one input and one output channel, so that what is drawn is the layer's own pattern. The
number above a column is the pattern's strength: the standard deviation of the constant map's result
away from the edges, divided by its mean.
"""

import pathlib
from collections.abc import Callable
from typing import Any, Literal

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnjax import nn
from cnnjax.analysis.plots.plots import plot_gallery

PICTURE = pathlib.Path(__file__).parent / "pictures" / "checkerboard.png"

# Positive, so that the mean of a result is not near zero.
RANDOM = linen.initializers.uniform(1.0)

Images = Float[Array, "batch rows columns 1"]


def transposed(side: int, init: Callable[..., Array]) -> Callable[[Images, int], Images]:
    """Returns what enlarges by a transposed convolution of stride 2.

    Args:
        side: of the kernel.
        init: its initializer.
    """

    def enlarge(x: Images, number: int) -> Images:
        layer = nn.ConvTranspose(1, (side, side), strides=2, use_bias=False, kernel_init=init)
        return layer.init_with_output(jax.random.key(number), x)[0]

    return enlarge


def upsampled(method: Literal["nearest", "bilinear"]) -> Callable[[Images, int], Images]:
    """Returns what enlarges by repetition or interpolation, and then convolves.

    Args:
        method: "nearest" or "bilinear".
    """

    def enlarge(x: Images, number: int) -> Images:
        larger: Any = nn.Upsample(2, method).apply({}, x)
        conv = nn.Conv(1, (3, 3), use_bias=False, kernel_init=RANDOM)
        return conv.init_with_output(jax.random.key(number), larger)[0]

    return enlarge


WAYS = {
    "transposed 3x3\nrandom": transposed(3, RANDOM),
    "transposed 4x4\nrandom": transposed(4, RANDOM),
    "transposed 4x4\nbilinear": transposed(4, nn.bilinear_init()),
    "nearest,\nrandom 3x3": upsampled("nearest"),
    "bilinear,\nrandom 3x3": upsampled("bilinear"),
}


def maps() -> dict[str, Images]:
    """Returns the maps to enlarge, [1, 8, 8, 1] each."""
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    rows, columns = np.mgrid[:8, :8]
    pictures = {
        "constant": np.ones((8, 8)),
        "smooth": np.exp(-((rows - 3) ** 2 + (columns - 4) ** 2) / 12),
        "digit": digits.images[3] / 16,
    }
    return {name: jnp.asarray(picture)[None, ..., None] for name, picture in pictures.items()}


def enlarged(x: Images, way: Callable[[Images, int], Images]) -> Images:
    """Returns a map that is four times larger, after two layers.

    Args:
        x: the map.
        way: enlarges by two, given the layer's number.
    """
    return way(way(x, 1), 2)


def strength(way: Callable[[Images, int], Images]) -> float:
    """Returns the relative deviation of a constant map's result away from the edges.

    Args:
        way: enlarges by two, given the layer's number.
    """
    inside = np.asarray(enlarged(jnp.ones((1, 16, 16, 1)), way))[0, 16:-16, 16:-16]
    return float(inside.std() / abs(inside.mean()))


def main() -> None:
    """Writes docs/pictures/checkerboard.png."""
    strengths = {name: strength(way) for name, way in WAYS.items()}
    rows = []
    for x in maps().values():
        results = [np.asarray(enlarged(x, way))[0] for way in WAYS.values()]
        # As a picture in color, which has no scale of its own, the constant map is white.
        rows.append([np.repeat(np.asarray(x)[0], 3, axis=-1), *results])
    headings = ["map\n\n", *(f"{name}\n{strengths[name]:.2f}" for name in WAYS)]
    figure = plot_gallery(rows, headings, list(maps()))
    figure.savefig(PICTURE, dpi=90)
    for name, value in strengths.items():
        print(f"{name.replace(chr(10), ' ')}: {value:.3f}")
    print(PICTURE)


if __name__ == "__main__":
    main()
