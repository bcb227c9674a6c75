"""Pooling and its ways back, drawn from numbers."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jax.typing import ArrayLike

from cnnjax import ops
from cnnjax.analysis.windows.numbers import as_images, as_plane, check_windows, plane, shown_places
from cnnjax.analysis.windows.sheets import (
    beside,
    grid,
    number_text,
    sheet,
    text_lines,
    window_and_output,
)
from cnnjax.ops import checks, sizes

_POOLS = {"max": ops.max_pool, "avg": ops.avg_pool, "sum": ops.sum_pool}
_WORDS = {"max": "Maximum", "avg": "Average", "sum": "Sum"}


def draw_pooling(
    x: ArrayLike | Sequence[Sequence[float]],
    window: sizes.PairLike,
    *,
    strides: sizes.PairLike | None = None,
    kind: Literal["max", "avg", "sum"] = "max",
    windows: int = 4,
) -> str:
    """Draws pooling window by window, with the numbers that `ops` computes.

    Args:
        x: the input, [height, width].
        window: size of the windows.
        strides: step between windows; None for the window's size.
        kind: "max", "avg" or "sum".
        windows: how many windows are drawn at most; of more, the first ones and the last one.

    Returns:
        SVG text.

    Raises:
        ValueError: `x` has another rank or too many numbers, the kind is not known, `windows` is
            not positive, or the pool refuses an argument.

    Example:
        >>> from cnnjax import analysis
        >>> text = analysis.draw_pooling([[1, 2], [3, 4]], 2, kind="avg")
        >>> "(1 + 2 + 3 + 4) / 4 = 2.5" in text
        True
    """
    op = "draw_pooling"
    image = plane(op, "x", x)
    if kind not in _POOLS:
        raise ValueError(f"{op}: kind {kind!r} is not known; give one of {', '.join(_POOLS)}")
    check_windows(op, windows)
    images = as_images(image)
    output = as_plane(_POOLS[kind](images, window, strides=strides))
    maxima = np.asarray(ops.max_pool_with_argmax(images, window, strides=strides)[1])[0, :, :, 0]
    size = checks.pair(op, "window", window)
    step = size if strides is None else checks.pair(op, "strides", strides)
    parts = text_lines(
        f"{_WORDS[kind]} of {size[0]} × {size[1]} windows, stride {step[0]}"
        + ("" if step[0] == step[1] else f" × {step[1]}"),
        bold=True,
    )
    for place in shown_places(output.shape, windows):
        cells = [(place[0] * step[0] + a, place[1] * step[1] + b) for a, b in np.ndindex(size)]
        styles = dict.fromkeys(cells, "window")
        if kind == "max":
            styles[_place(maxima[place], image)] = "mark"
        parts += [
            window_and_output(image.astype(float), styles, output, place),
            *text_lines(_reduced([float(image[cell]) for cell in cells], kind, output[place])),
        ]
    return sheet(f"{_WORDS[kind]} pooling window by window", parts)


def _place(index: int, image: np.ndarray) -> tuple[int, int]:
    """Returns row and column of a place of `ops.max_pool_with_argmax`."""
    return int(index) // image.shape[1], int(index) % image.shape[1]


def _reduced(values: list[float], kind: str, result: float) -> str:
    texts = [number_text(value) for value in values]
    if kind == "max":
        return f"max({', '.join(texts)}) = {number_text(result)}"
    total = " + ".join(texts).replace("+ -", "- ")
    left = total if kind == "sum" else f"({total}) / {len(values)}"
    return f"{left} = {number_text(result)}"


def draw_unpooling(x: ArrayLike | Sequence[Sequence[float]], window: sizes.PairLike = 2) -> str:
    """Draws max pooling and three ways back: by the places of the maxima, and by enlarging.

    The numbers are those of `ops.max_pool_with_argmax`, `ops.max_unpool`, `ops.upsample_nearest`
    and `ops.upsample_bilinear`.

    Args:
        x: the input, [height, width].
        window: size of the windows and step between them.

    Returns:
        SVG text.

    Raises:
        ValueError: `x` has another rank or too many numbers, or the pool refuses the window.

    Example:
        >>> from cnnjax import analysis
        >>> analysis.draw_unpooling([[1, 2], [3, 4]]).count('class="grid"')
        6
    """
    image = plane("draw_unpooling", "x", x)
    images = as_images(image)
    pooled, places = ops.max_pool_with_argmax(images, window)
    back = as_plane(ops.max_unpool(pooled, places, (1, image.shape[0], image.shape[1], 1)))
    where = np.asarray(places)[0, :, :, 0]
    marks = {_place(index, image): "mark" for index in where.ravel()}
    return sheet(
        "Max pooling and the ways back",
        [
            *text_lines("Max pooling remembers the places of the maxima", bold=True),
            beside(
                [
                    grid("input", image.astype(float), marks),
                    grid("maxima", as_plane(pooled), style="mark"),
                    grid("places: row × width + column", where.astype(float)),
                ]
            ),
            *text_lines("Back by the places (max_unpool)", bold=True),
            grid("unpooled", back, marks),
            *text_lines("Back by enlarging, without the places", bold=True),
            beside(
                [
                    grid("upsample_nearest", as_plane(ops.upsample_nearest(pooled, window))),
                    grid("upsample_bilinear", as_plane(ops.upsample_bilinear(pooled, window))),
                ]
            ),
        ],
    )
