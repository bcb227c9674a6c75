"""The growth of receptive fields, layer by layer, counted by the backward rule of convolution."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from cnnjax import ops
from cnnjax.analysis.windows.sheets import LINE, WIDTH, Part, sheet, text_lines

_ROW = 58
_MOST_PIXELS = 40


@dataclass(frozen=True)
class _Layer:
    """A row of units.

    Attributes:
        count: the number of units.
        field: for each unit the pixels that it sees, [units, pixels].
        taps: for each unit the units of the row below that it is computed from.
    """

    count: int
    field: np.ndarray
    taps: list[np.ndarray]


def draw_receptive_field(
    kernels: Sequence[int],
    *,
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
) -> str:
    """Draws how the receptive field of one unit grows with the layers, along one axis.

    The field goes from the first to the last pixel at which the gradient of the unit is not 0, for
    kernels of ones: `ops.conv2d_input_grad`, layer by layer. Pixels in it that the unit does not
    depend on are empty.

    Args:
        kernels: taps of each layer, from the first layer to the last.
        strides: step between the windows of each layer; None for 1.
        dilations: step between the taps of each layer; None for 1.

    Returns:
        SVG text.

    Raises:
        ValueError: there is no layer, the numbers of layers differ, a value is no positive integer,
            or the field has more pixels than can be drawn.

    Example:
        >>> from cnnjax import analysis
        >>> text = analysis.draw_receptive_field((3, 3, 3))
        >>> "layer 3: kernel 3, sees 7 pixels" in text
        True
    """
    layers = _checked(kernels, strides, dilations)
    # The rows that one unit of the last layer needs.
    sizes = [1]
    for kernel, stride, dilation in reversed(layers):
        sizes.append((sizes[-1] - 1) * stride + (kernel - 1) * dilation + 1)
    sizes.reverse()
    if sizes[0] > _MOST_PIXELS:
        raise ValueError(
            f"draw_receptive_field: the last unit sees {sizes[0]} pixels, more than the "
            f"{_MOST_PIXELS} that can be drawn; give fewer layers, or smaller kernels and strides"
        )
    rows = [_Layer(sizes[0], np.eye(sizes[0], dtype=bool), [np.array([])] * sizes[0])]
    for (kernel, stride, dilation), below, count in zip(layers, sizes[:-1], sizes[1:], strict=True):
        taps = _gradient(count, kernel, stride, dilation, below)
        fields = np.array([rows[-1].field[row].any(0) for row in taps])
        rows.append(_Layer(count, fields, [np.flatnonzero(row) for row in taps]))
    words = []
    for (kernel, stride, dilation), row in zip(layers, rows[1:], strict=True):
        text = f"layer {len(words) + 1}: kernel {kernel}"
        text += f", stride {stride}" if stride > 1 else ""
        text += f", dilation {dilation}" if dilation > 1 else ""
        seen = np.flatnonzero(row.field[0])
        words.append(f"{text}, sees {seen[-1] - seen[0] + 1} pixels")
    heading = text_lines("What the unit at the top sees, layer by layer", bold=True)
    return sheet("Growth of the receptive field", [*heading, _pyramid(rows, words)])


def _checked(
    kernels: Sequence[int], strides: Sequence[int] | None, dilations: Sequence[int] | None
) -> list[tuple[int, int, int]]:
    op = "draw_receptive_field"
    given = {"kernels": kernels, "strides": strides, "dilations": dilations}
    lists = {k: [1] * len(kernels) if v is None else list(v) for k, v in given.items()}
    for name, values in lists.items():
        if any(isinstance(v, bool) or not isinstance(v, int) or v < 1 for v in values):
            raise ValueError(f"{op}: {name} {given[name]!r} must be positive integers")
        if not values or len(values) != len(kernels):
            raise ValueError(
                f"{op}: {name} {given[name]!r} must have one value for each layer, and there must "
                f"be a layer; kernels has {len(kernels)}"
            )
    return list(zip(*lists.values(), strict=True))


def _gradient(count: int, kernel: int, stride: int, dilation: int, below: int) -> np.ndarray:
    """Returns for each unit whether it depends on each unit of the row below."""
    # One unit an image: its gradient is 1, that of the others 0.
    units = jnp.eye(count)[:, None, :, None]
    back = ops.conv2d_input_grad(
        units,
        jnp.ones((1, kernel, 1, 1)),
        (count, 1, below, 1),
        strides=(1, stride),
        padding="VALID",
        dilation=(1, dilation),
    )
    return np.asarray(back)[:, 0, :, 0] != 0


def _pyramid(rows: list[_Layer], words: list[str]) -> Part:
    """Returns the rows, the input at the bottom; each unit is above the middle of its field."""
    pitch = min(34.0, (WIDTH - 8) / rows[0].count)
    radius = min(pitch * 0.36, 9.0)
    height = len(rows) * _ROW

    def center(row: _Layer, unit: int) -> float:
        seen = np.flatnonzero(row.field[unit])
        return (seen[0] + seen[-1] + 1) / 2 * pitch

    def draw(left: float, top: float) -> list[str]:
        lines = []
        for number in range(len(rows) - 1, -1, -1):
            row = rows[number]
            y = top + (len(rows) - 1 - number) * _ROW + LINE + radius + 4
            text = words[number - 1] if number else f"input: {row.count} pixels"
            # Over the rays from the row above.
            lines.append(
                f'<text class="over" x="{left:g}" y="{y - radius - 8:g}" font-size="12.5">'
                f"{text}</text>"
            )
            for unit in range(row.count if number else 0):
                for tap in row.taps[unit]:
                    end = left + center(rows[number - 1], tap)
                    lines.append(
                        f'<line class="ray" x1="{left + center(row, unit):g}" y1="{y + radius:g}" '
                        f'x2="{end:g}" y2="{y + _ROW - radius:g}"/>'
                    )
            style = "mark" if number == len(rows) - 1 else "window" if number else "done"
            for unit in range(row.count):
                # At the bottom, what the unit at the top depends on.
                name = style if number or rows[-1].field[0, unit] else "waiting"
                x = left + center(row, unit)
                lines.append(f'<circle class="{name}" cx="{x:g}" cy="{y:g}" r="{radius:g}"/>')
        return lines

    widest = max(len(text) for text in words) * 7.0
    return Part(max(rows[0].count * pitch, widest), height, draw)
