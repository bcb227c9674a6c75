"""Grids of numbers and lines of text, one below the other, as SVG for light and dark pages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

import numpy as np

CELL, TEXT, LINE, GAP, MARGIN = 28, 12.5, 18, 14, 12
"""Side of a cell, font size, height of a line, and the spaces between parts and around them."""

WIDTH = 380
"""Parts beside each other take no more than this, so that a phone shows all of them."""

Place: TypeAlias = tuple[int, int]
"""Row and column."""

# Fill and line of each style of cell: light, dark.
_COLORS = {
    "plain": ("#ffffff", "#98a2ad", "#1d232a", "#66717d"),
    "pad": ("#e9ecf0", "#98a2ad", "#2c343d", "#66717d"),
    "window": ("#cfe6f7", "#2f78aa", "#174466", "#62b0e6"),
    "mark": ("#fbd9a6", "#b06a0a", "#684510", "#e5a94d"),
    "kernel": ("#e6dbf5", "#7d57ab", "#3a2c55", "#b092e0"),
    "done": ("#dcf2e6", "#2d8a5f", "#173f2d", "#4fc08d"),
    "waiting": ("none", "#c3cad2", "none", "#3c4650"),
}


@dataclass(frozen=True)
class Part:
    """A piece of a picture.

    Attributes:
        width, height: its size.
        draw: returns the elements of the piece, given the place of its left upper corner.
    """

    width: float
    height: float
    draw: Callable[[float, float], list[str]]


def number_text(value: float) -> str:
    """Returns a number with at most three significant digits, whole numbers whole.

    Args:
        value: the number.
    """
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"


def text_line(text: str, *, bold: bool = False, muted: bool = False) -> Part:
    """Returns a line of text.

    Args:
        text: the text.
        bold: whether it is a heading.
        muted: whether it is a remark.
    """
    style = "title" if bold else "muted" if muted else "text"

    def draw(x: float, y: float) -> list[str]:
        return [
            f'<text class="{style}" x="{x:g}" y="{y + 13:g}" font-size="{TEXT}">'
            f"{escape(text)}</text>"
        ]

    return Part((7.9 if bold else 7.1) * len(text), LINE, draw)


def text_lines(text: str, *, bold: bool = False, muted: bool = False) -> list[Part]:
    """Returns a text as lines that are not wider than a picture.

    Args:
        text: the text; it is broken at spaces.
        bold: as in `text_line`.
        muted: as in `text_line`.
    """
    lines = [""]
    # A result stays on the line of its equals sign.
    for word in text.replace(" = ", "\0=\0").split(" "):
        if lines[-1] and len(lines[-1]) + len(word) > WIDTH / 7.2:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    lines = [line.replace("\0", " ") for line in lines]
    return [text_line(line, bold=bold, muted=muted) for line in lines]


def grid(
    name: str, values: np.ndarray, styles: Mapping[Place, str] | None = None, style: str = "plain"
) -> Part:
    """Returns a grid of numbers under its name.

    Args:
        name: what the numbers are.
        values: [rows, columns]; NaN leaves a cell empty.
        styles: the style of some cells, by row and column.
        style: the style of the other cells.
    """
    given = dict(styles or {})
    texts = [["" if np.isnan(v) else number_text(v) for v in row] for row in values]
    longest = max(len(text) for row in texts for text in row)
    side = max(CELL, 7.4 * longest + 8)

    def draw(x: float, y: float) -> list[str]:
        lines = [
            f'<text class="muted" x="{x:g}" y="{y + 12:g}" font-size="12">{escape(name)}</text>',
            f'<g class="grid" data-name="{escape(name)}">',
        ]
        # Colored frames are drawn last, so that no neighbor covers them.
        order = sorted(np.ndindex(values.shape), key=lambda place: place in given)
        for row, column in order:
            left, top = x + column * side, y + LINE + row * CELL
            lines.append(
                f'<rect class="{given.get((row, column), style)}" x="{left:g}" y="{top:g}" '
                f'width="{side:g}" height="{CELL}"/>'
            )
        for row, column in np.ndindex(values.shape):
            left, top = x + column * side, y + LINE + row * CELL
            lines.append(
                f'<text x="{left + side / 2:g}" y="{top + CELL / 2 + 4.5:g}" '
                f'font-size="{TEXT}" text-anchor="middle">{texts[row][column]}</text>'
            )
        return [*lines, "</g>"]

    rows, columns = values.shape
    return Part(max(columns * side, 6.8 * len(name)), rows * CELL + LINE, draw)


def beside(parts: Sequence[Part]) -> Part:
    """Returns parts from left to right, in further rows where one is full.

    Args:
        parts: the parts.
    """
    places, x, y, height, width = [], 0.0, 0.0, 0.0, 0.0
    for part in parts:
        if x and x + part.width > WIDTH:
            x, y, height = 0.0, y + height + GAP / 2, 0.0
        places.append((x, y))
        x += part.width + GAP
        width = max(width, x - GAP)
        height = max(height, part.height)

    def draw(left: float, top: float) -> list[str]:
        return [
            line
            for part, (a, b) in zip(parts, places, strict=True)
            for line in part.draw(left + a, top + b)
        ]

    return Part(width, y + height, draw)


def window_and_output(
    inputs: np.ndarray, styles: Mapping[Place, str], output: np.ndarray, place: Place
) -> Part:
    """Returns the input with a window, beside the output as far as it is known after that window.

    Args:
        inputs: [rows, columns].
        styles: the styles of the input's cells.
        output: [rows, columns].
        place: the place of the window in the output.
    """
    places = list(np.ndindex(output.shape))
    number = places.index(place) + 1
    known = np.full(output.shape, np.nan)
    for each in places[:number]:
        known[each] = output[each]
    done = {**dict.fromkeys(places[:number], "done"), place: "mark"}
    return beside(
        [
            grid(f"window {number} of {len(places)}", inputs, styles),
            grid("output", known, done, "waiting"),
        ]
    )


def sheet(title: str, parts: Sequence[Part]) -> str:
    """Returns parts from top to bottom as SVG text.

    Args:
        title: what the picture shows, for those who hear it.
        parts: the parts.
    """
    width = max(part.width for part in parts) + 2 * MARGIN
    y, lines = float(MARGIN), []
    for before, part in zip([None, *parts], parts, strict=False):
        # Lines of text that follow each other belong together.
        y += GAP if before is not None and max(before.height, part.height) > LINE else 0
        lines += part.draw(MARGIN, y)
        y += part.height
    height = y + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="cnnjax-windows" role="img" '
            f'aria-label="{escape(title)}" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" font-family="{_FONTS}" style="max-width:100%;height:auto">',
            f"<title>{escape(title)}</title>",
            f"<style>{_style()}</style>",
            f'<rect class="paper" width="{width:g}" height="{height:g}" rx="10"/>',
            *lines,
            "</svg>",
            "",
        ]
    )


_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', Arial, sans-serif"


def _style() -> str:
    scope = ".cnnjax-windows"
    light, dark = [], []
    for name, (fill, line, dark_fill, dark_line) in _COLORS.items():
        light.append(f"{scope} .{name}{{fill:{fill};stroke:{line}}}")
        dark.append(f"{scope} .{name}{{fill:{dark_fill};stroke:{dark_line}}}")
    light += [
        f"{scope} .paper{{fill:#fff}}{scope} text{{fill:#15191e}}{scope} .muted{{fill:#4d5661}}",
        f"{scope} .title{{font-weight:650}}{scope} .ray{{stroke:#98a2ad}}",
        f"{scope} .over{{paint-order:stroke;stroke:#fff;stroke-width:5;stroke-linejoin:round}}",
        f"{scope} .mark,{scope} .window{{stroke-width:1.8}}",
    ]
    dark.append(
        f"{scope} .paper{{fill:#14181d}}{scope} text{{fill:#e9edf1}}{scope} .muted{{fill:#aab3be}}"
        f"{scope} .ray{{stroke:#66717d}}{scope} .over{{stroke:#14181d}}"
    )
    return f"{''.join(light)}@media (prefers-color-scheme:dark){{{''.join(dark)}}}"
