"""Convolution, padding and strides drawn window by window."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from cnnjax import ops
from cnnjax.analysis.windows.numbers import (
    as_images,
    as_plane,
    check_windows,
    plane,
    shown_places,
)
from cnnjax.analysis.windows.sheets import (
    Part,
    beside,
    grid,
    number_text,
    sheet,
    text_lines,
    window_and_output,
)
from cnnjax.ops import checks, sizes


def draw_convolution(
    x: ArrayLike | Sequence[Sequence[float]],
    kernel: ArrayLike | Sequence[Sequence[float]],
    *,
    strides: sizes.PairLike = 1,
    padding: sizes.PaddingLike = "VALID",
    dilation: sizes.PairLike = 1,
    padding_mode: str | float = "zeros",
    windows: int = 4,
) -> str:
    """Draws a convolution window by window, with the numbers that `ops.conv2d` computes.

    Args:
        x: the input, [height, width].
        kernel: [height, width].
        strides: step between windows, as in `ops.conv2d`.
        padding: as in `ops.conv2d`.
        dilation: step between the kernel's taps, as in `ops.conv2d`.
        padding_mode: as in `ops.conv2d`.
        windows: how many windows are drawn at most; of more, the first ones and the last one.

    Returns:
        SVG text.

    Raises:
        ValueError: `x` or `kernel` has another rank or too many numbers, `windows` is not positive,
            or `ops.conv2d` refuses an argument.

    Example:
        >>> from cnnjax import analysis
        >>> text = analysis.draw_convolution([[1, 2, 3], [4, 5, 6]], [[1, -1]])
        >>> "2 × 3" in text, "1·1 - 1·2 = -1" in text
        (True, True)
    """
    check_windows(op := "draw_convolution", windows)
    image, taps = plane(op, "x", x), plane(op, "kernel", kernel)
    output = as_plane(
        ops.conv2d(
            as_images(image),
            jnp.asarray(taps)[:, :, None, None],
            strides=strides,
            padding=padding,
            dilation=dilation,
            padding_mode=padding_mode,
        )
    )
    step, spread = (checks.pair(op, "strides", v) for v in (strides, dilation))
    size, reach = (image.shape[0], image.shape[1]), (taps.shape[0], taps.shape[1])
    pads = sizes.resolve_padding(op, padding, size, reach, step, spread)
    padded = as_plane(ops.pad_images(as_images(image), pads, padding_mode))
    border = _border(image.shape, padded.shape, pads)
    parts: list[Part] = [
        *text_lines(f"Convolution {_by(reach)} of {_by(size)}", bold=True),
        *text_lines(f"output {_by(output.shape)}", muted=True),
        *text_lines(_settings(step, pads, spread, padding_mode), muted=True),
        grid("kernel", taps, style="kernel"),
    ]
    for place in shown_places(output.shape, windows):
        parts += _window(padded, border, taps, output, place, step, spread)
    return sheet(f"Convolution window by window, {_by(reach)} kernel on {_by(size)} numbers", parts)


def _window(
    padded: np.ndarray,
    border: dict[tuple[int, int], str],
    taps: np.ndarray,
    output: np.ndarray,
    place: tuple[int, int],
    step: tuple[int, int],
    spread: tuple[int, int],
) -> list[Part]:
    """Returns one window of a convolution: where it is, what is known after it, and its sum."""
    cells = [
        (place[0] * step[0] + a * spread[0], place[1] * step[1] + b * spread[1])
        for a, b in np.ndindex(taps.shape)
    ]
    styles = {**border, **dict.fromkeys(cells, "window")}
    return [
        window_and_output(padded, styles, output, place),
        *text_lines(_sum(padded, cells, taps, output[place])),
    ]


def draw_padding(
    x: ArrayLike | Sequence[Sequence[float]],
    padding: int = 2,
    modes: Sequence[str | float] = ("zeros", "replicate", "reflect", "circular"),
) -> str:
    """Draws an image padded in several modes, with the numbers that `ops.pad_images` gives.

    Args:
        x: the image, [height, width].
        padding: pixels on each side.
        modes: padding modes, or constants.

    Returns:
        SVG text.

    Raises:
        ValueError: `x` has another rank or too many numbers, there is no mode, or `ops.pad_images`
            refuses the padding or a mode.

    Example:
        >>> from cnnjax import analysis
        >>> analysis.draw_padding([[1, 2], [3, 4]], 1).count('class="grid"')
        4
    """
    image = plane("draw_padding", "x", x)
    if not modes:
        raise ValueError("draw_padding: modes is empty; give one or more, such as 'reflect'")
    pads = ((padding, padding), (padding, padding))
    grids = []
    for mode in modes:
        padded = as_plane(ops.pad_images(as_images(image), pads, mode))
        border = _border(image.shape, padded.shape, pads)
        grids.append(grid(mode if isinstance(mode, str) else f"constant {mode:g}", padded, border))
    heading = text_lines(f"{_by(image.shape)} numbers, {padding} more on each side", bold=True)
    return sheet("Padding modes", [*heading, beside(grids)])


def draw_strides(
    x: Sequence[float],
    kernel: Sequence[float],
    strides: Sequence[int] = (1, 2, 3),
    padding: int = 0,
) -> str:
    """Draws the windows of a row of numbers for several strides, as `ops.conv2d` computes them.

    Args:
        x: the row.
        kernel: its taps.
        strides: the strides, each drawn below the other.
        padding: zeros at both ends.

    Returns:
        SVG text.

    Raises:
        ValueError: `x` or `kernel` is no row or too long, there is no stride, or `ops.conv2d`
            refuses an argument.

    Example:
        >>> from cnnjax import analysis
        >>> "(5 - 3 + 0) / 2 + 1 = 2" in analysis.draw_strides([1, 2, 3, 4, 5], [1, 0, -1], (2,))
        True
    """
    op = "draw_strides"
    row, taps = plane(op, "x", [x]), plane(op, "kernel", [kernel])
    if not strides:
        raise ValueError(f"{op}: strides is empty; give one or more, such as (1, 2)")
    pads = ((0, 0), (padding, padding))
    padded = as_plane(ops.pad_images(as_images(row), pads, "zeros"))
    border = _border(row.shape, padded.shape, pads)
    parts = [
        *text_lines(f"{row.size} numbers, {taps.size} taps", bold=True),
        beside([grid("kernel", taps, style="kernel")]),
    ]
    for stride in strides:
        output = as_plane(
            ops.conv2d(
                as_images(row),
                jnp.asarray(taps)[:, :, None, None],
                strides=(1, stride),
                padding=pads,
            )
        )
        parts += _stacked(padded, border, (row.size, taps.size, padding, stride), output)
    return sheet("Windows of a row of numbers by stride", parts)


def _stacked(
    padded: np.ndarray,
    border: dict[tuple[int, int], str],
    numbers: tuple[int, int, int, int],
    output: np.ndarray,
) -> list[Part]:
    """Returns the windows of a row below each other, and the formula of their number."""
    size, taps, padding, stride = numbers
    exact = (size - taps + 2 * padding) / stride + 1
    rounded = "" if exact == output.size else f", rounded down to {output.size}"
    formula = (
        f"stride {stride}: ({size} - {taps} + {2 * padding}) / {stride} + 1 = {number_text(exact)}"
    )
    lines = range(output.size)
    styles = {(line, column): "pad" for line in lines for _, column in border}
    styles |= {(line, line * stride + tap): "window" for line in lines for tap in range(taps)}
    return [
        *text_lines(formula + rounded),
        beside(
            [
                grid("windows", np.tile(padded, (output.size, 1)), styles),
                grid("output", output.T, style="done"),
            ]
        ),
    ]


def _by(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def _settings(
    step: tuple[int, int], pads: sizes.Pads, spread: tuple[int, int], mode: str | float
) -> str:
    """Returns the settings of a convolution as a line of text."""
    texts = [f"stride {step[0] if step[0] == step[1] else _by(step)}"]
    sides = {side for axis in pads for side in axis}
    texts.append(f"padding {sides.pop() if len(sides) == 1 else pads}")
    if spread != (1, 1):
        texts.append(f"dilation {spread[0] if spread[0] == spread[1] else _by(spread)}")
    if any(side for axis in pads for side in axis):
        texts.append(mode if isinstance(mode, str) else f"of {mode:g}")
    return ", ".join(texts)


def _border(
    inner: tuple[int, ...], outer: tuple[int, ...], pads: sizes.Pads
) -> dict[tuple[int, int], str]:
    """Returns the style of the cells that padding adds."""
    (top, _), (left, _) = pads
    return {
        (r, c): "pad"
        for r, c in np.ndindex(outer)
        if not (top <= r < top + inner[0] and left <= c < left + inner[1])
    }


def _sum(padded: np.ndarray, cells: list[tuple[int, int]], taps: np.ndarray, result: float) -> str:
    """Returns the products of one window, their signs in between."""
    text = ""
    for place, tap in zip(cells, taps.ravel(), strict=True):
        value = padded[place]
        sign = "-" if tap < 0 else "+"
        shown = number_text(value) if value >= 0 else f"({number_text(value)})"
        start = ("-" if tap < 0 else "") if not text else f" {sign} "
        text += f"{start}{number_text(abs(tap))}·{shown}"
    return f"{text} = {number_text(result)}"
