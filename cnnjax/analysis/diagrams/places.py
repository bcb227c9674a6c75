"""Places of boxes and blocks: rows from the top to the bottom, as few crossings as can be.

igraph's Sugiyama layout orders each row. The distances between neighbors in a row follow from the
widths of the boxes, and all places along the rows follow from the wires, which become as straight
as these distances allow.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np

from cnnjax.analysis.diagrams.blocks import ENTRY, EXIT, Block, Box, Item
from cnnjax.analysis.diagrams.distances import least_distances, least_squares
from cnnjax.analysis.diagrams.rows import Rows, rows_of
from cnnjax.analysis.diagrams.sizes import (
    BLOCK_PADDING,
    BOX_GAP,
    CHIP,
    LINE,
    TURN,
    WIRE_GAP,
    box_size,
    chip_text,
    header_size,
    text_width,
)

# By how many pixels a frame may be wider on one side, and how often its middle is moved.
_UNEVEN = 4
_ROUNDS = 4

# Up to so many vertices least squares are fast.
_SMALL = 160


@dataclass
class Placed:
    """A box or a block with its place.

    Attributes:
        item: what is drawn.
        width, height: its size.
        x, y: its left upper corner within the block around it.
        children: the items of a block, with their places.
        curves: the wires of a block: for each the points that it passes, from top to bottom.
        entries, exits: for each array that enters or leaves, the place along the upper or lower
            edge, from the left.
    """

    item: Item
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0
    children: "list[Placed]" = field(default_factory=list)
    curves: list[list[tuple[float, float]]] = field(default_factory=list)
    entries: dict[int, float] = field(default_factory=dict)
    exits: dict[int, float] = field(default_factory=dict)


def place(item: Item) -> Placed:
    """Returns a box or a block with places for all that is in it.

    Args:
        item: what is drawn.

    Raises:
        MissingPackage: igraph is not installed.
    """
    if isinstance(item, Box):
        return Placed(item, *box_size(item))
    children = [place(child) for child in item.children]
    rows = rows_of(item)
    left, widths = _columns(item, children, rows)
    tops, heights = _heights(item, children, rows)
    header_width, header = header_size(item)
    # Symmetric, so that what enters and leaves in the middle goes straight through.
    half = max(header_width / 2, *(max(-x, x + w) for x, w in zip(left, widths, strict=True)))
    width = 2 * (half + BLOCK_PADDING)
    shift = width / 2
    bottom = header + tops[-1] + heights[-1]
    placed = Placed(item, width, bottom + (0 if _has_exits(item) else BLOCK_PADDING))
    for vertex, child in enumerate(children):
        row = rows.row[vertex]
        child.x = shift + left[vertex] + (widths[vertex] - child.width) / 2
        child.y = header + tops[row]
    placed.children = children
    centers = [shift + x + w / 2 for x, w in zip(left, widths, strict=True)]
    for (port, tensor), vertex in rows.ports.items():
        (placed.entries if port == ENTRY else placed.exits)[tensor] = centers[vertex]
    # Wires stay straight beside the boxes of a row, and beside the shapes under them.
    bands = [
        (header + top, header + top + height + _lead(children, order))
        for top, height, order in zip(tops, heights, rows.order, strict=True)
    ]
    placed.curves = [
        _curve(item, rows, number, placed, centers, bands) for number in range(len(item.wires))
    ]
    _trim(placed, rows)
    return placed


def _trim(placed: Placed, rows: Rows) -> None:
    """Lets all wires of an array but the longest start where they leave the longest."""
    assert isinstance(placed.item, Block)
    longest: dict[tuple[int, int], int] = {}
    order = sorted(range(len(rows.paths)), key=lambda number: -len(rows.paths[number]))
    for number in order:
        wire, path = placed.item.wires[number], rows.paths[number]
        first = longest.setdefault((wire.source, wire.output), number)
        if number != first and len(path) > 2:
            # The end of the last row that it shares, and the piece from there to its target.
            tail = placed.curves[number]
            keep = 2 if wire.target >= 0 else 1
            placed.curves[number] = tail[-keep - 1 :]


def _has_exits(block: Block) -> bool:
    return any(wire.target == EXIT for wire in block.wires)


def _columns(block: Block, children: list[Placed], rows: Rows) -> tuple[list[float], list[float]]:
    """Returns the left edge, from the block's middle, and the width of each vertex."""
    widths = [max(child.width, _chip_width(child)) for child in children]
    widths += [2.0] * (len(rows.row) - len(children))
    halves = np.array(widths) / 2
    # What is alone in its row is to be in the middle of the frame, whose width depends on it.
    middle = extent = 0.0
    centers = np.zeros(len(widths))
    for _ in range(_ROUNDS):
        middle = extent
        centers = _centers(block, children, rows, widths, middle)
        extent = ((centers - halves).min() + (centers + halves).max()) / 2
        if abs(extent - middle) <= _UNEVEN:
            break
    return list(np.round(centers - middle - halves)), widths


def _centers(
    block: Block, children: list[Placed], rows: Rows, widths: list[float], middle: float
) -> np.ndarray:
    """Returns the center of each vertex; those that are alone in their row are near the middle."""
    ends = len(children) + len(rows.ports)
    apart = []
    for order in rows.order:
        for left, right in itertools.pairwise(order):
            # Wires that run side by side are a bundle.
            gap = BOX_GAP if min(left, right) < ends else WIRE_GAP
            apart.append((left, right, (widths[left] + widths[right]) / 2 + gap))
    pulls = [(v, 0.01, middle) for v in range(len(rows.row))]
    for order in rows.order:
        if len(order) == 1:
            # An entry or exit is in the middle exactly: blocks below each other would drift.
            pulls[order[0]] = order[0], 30.0 if order[0] in rows.ports.values() else 8.0, middle
    solve = least_squares if len(rows.row) <= _SMALL else least_distances
    return solve(len(rows.row), apart, _segments(block, children, rows), pulls)


def _chip_width(child: Placed) -> float:
    """Returns the width of the shapes under a box."""
    text = chip_text(child.item) if isinstance(child.item, Box) else ""
    return text_width(text, CHIP) + 8 if text else 0.0


def _segments(
    block: Block, children: list[Placed], rows: Rows
) -> list[tuple[int, int, float, float, float]]:
    """Returns the pieces of wires between rows.

    Each is two vertices, the weight of its straightness, and for both ends the distance from the
    vertex's center.
    """
    found = {}
    ends = len(children) + len(rows.ports)
    for number, wire in enumerate(block.wires):
        path = rows.paths[number]
        for place, (first, second) in enumerate(itertools.pairwise(path)):
            inner = (first >= ends) + (second >= ends)
            start = end = 0.0
            if place == 0 and wire.source >= 0:
                child = children[wire.source]
                start = child.exits.get(wire.output, child.width / 2) - child.width / 2
            if place == len(path) - 2 and wire.target >= 0:
                child = children[wire.target]
                end = child.entries.get(wire.input, child.width / 2) - child.width / 2
            found[first, second, start, end] = (1.0, 0.05, 3.0)[inner]
    return [(*key[:2], weight, *key[2:]) for key, weight in found.items()]


def _heights(block: Block, children: list[Placed], rows: Rows) -> tuple[list[float], list[float]]:
    """Returns the upper edge and the height of each row; between rows is space for the wires."""
    heights = [
        max((children[v].height for v in order if v < len(children)), default=0.0)
        for order in rows.order
    ]
    tops, y = [], 0.0
    for row, height in enumerate(heights):
        tops.append(y)
        y += height
        if row + 1 == len(heights):
            break
        straight = len(rows.order[row]) == len(rows.order[row + 1]) == 1
        y += _lead(children, rows.order[row]) + (10 if straight else TURN)
    return tops, heights


def _lead(children: list[Placed], order: list[int]) -> float:
    """Returns the space under a row for the shapes of what leaves its boxes."""
    items = [children[vertex].item for vertex in order if vertex < len(children)]
    lines = max((len(item.shapes) for item in items if isinstance(item, Box)), default=0)
    return float(lines * LINE + 5) if lines else 0.0


def _curve(
    block: Block,
    rows: Rows,
    number: int,
    placed: Placed,
    centers: list[float],
    bands: list[tuple[float, float]],
) -> list[tuple[float, float]]:
    """Returns the points that a wire passes: where it enters and where it leaves each row."""
    wire, path = block.wires[number], rows.paths[number]
    points: list[tuple[float, float]] = []
    for place, vertex in enumerate(path):
        top, bottom = bands[rows.row[vertex]]
        x = centers[vertex]
        first, last = place == 0, place == len(path) - 1
        if first and wire.source >= 0:
            child = placed.children[wire.source]
            x = child.x + child.exits.get(wire.output, child.width / 2)
            points += [(x, child.y + child.height), (x, bottom)]
        elif last and wire.target >= 0:
            child = placed.children[wire.target]
            x = child.x + child.entries.get(wire.input, child.width / 2)
            points += [(x, top), (x, child.y)]
        elif last:
            points += [(x, top)]
        else:
            points += [(x, top), (x, bottom)]
    return points
