"""Rows of a block's boxes, and their order from left to right."""

import itertools
from dataclasses import dataclass

from cnnjax.analysis.diagrams.blocks import ENTRY, EXIT, Block
from cnnjax.extras import installed_with


@dataclass(frozen=True)
class Rows:
    """The rows of a block.

    Vertices are its children, then its entries and exits, then the places where wires pass rows.

    Attributes:
        row: for each vertex its row.
        order: for each row its vertices from left to right.
        paths: for each wire the vertices that it passes, one a row.
        ports: the entry or exit (`ENTRY` or `EXIT`) of an array to its vertex.
    """

    row: list[int]
    order: list[list[int]]
    paths: list[list[int]]
    ports: dict[tuple[int, int], int]


def rows_of(block: Block) -> Rows:
    """Returns the rows of a block's children.

    Args:
        block: the block.

    Raises:
        MissingPackage: igraph is not installed.
    """
    with installed_with("report"):
        import igraph

    ports: dict[tuple[int, int], int] = {}
    edges = []
    for wire in block.wires:
        ends = []
        for child, tensor in ((wire.source, wire.output), (wire.target, wire.input)):
            if child < 0:
                child = ports.setdefault((child, tensor), len(block.children) + len(ports))
            ends.append(child)
        edges.append((ends[0], ends[1]))
    count = len(block.children) + len(ports)
    row = _layers(count, edges, ports)
    paths = _paths(block, edges, row)
    steps = sorted({step for path in paths for step in itertools.pairwise(path)})
    graph = igraph.Graph(n=len(row), edges=steps, directed=True)
    # Many rounds cross fewer wires, and are cheap in small blocks.
    rounds = max(30_000 // len(row), 20)
    across = graph.layout_sugiyama(layers=row, hgap=1, vgap=1, maxiter=rounds).coords
    order: list[list[int]] = [[] for _ in range(max(row) + 1)]
    for vertex in sorted(range(len(row)), key=lambda vertex: across[vertex][0]):
        order[row[vertex]].append(vertex)
    return Rows(row, order, paths, ports)


def _paths(block: Block, edges: list[tuple[int, int]], row: list[int]) -> list[list[int]]:
    """Returns the vertices that each wire passes; those of rows in between are added to `row`.

    The wires of one array share them, so that it is one line with branches.
    """
    shared: dict[tuple[int, int, int], int] = {}
    paths = []
    for wire, (source, target) in zip(block.wires, edges, strict=True):
        path = [source]
        for between in range(row[source] + 1, row[target]):
            key = (source, wire.output, between)
            if key not in shared:
                shared[key] = len(row)
                row.append(between)
            path.append(shared[key])
        paths.append([*path, target])
    return paths


def _layers(
    count: int, edges: list[tuple[int, int]], ports: dict[tuple[int, int], int]
) -> list[int]:
    """Returns the row of each vertex: below all that it takes from, as far up as it can be."""
    row = [0] * count
    inside = [v for v in range(count) if v not in ports.values()]
    has_entries = any(port == ENTRY for port, _ in ports)
    for vertex in inside:
        row[vertex] = int(has_entries)
    # Each round settles one more row.
    changed = True
    while changed:
        changed = False
        for source, target in edges:
            if row[target] <= row[source]:
                row[target] = row[source] + 1
                changed = True
    deepest = max((row[v] for v in inside), default=0)
    for (port, _), vertex in ports.items():
        row[vertex] = 0 if port == ENTRY else max(deepest + 1, row[vertex])
    last = max(row)
    for (port, _), vertex in ports.items():
        if port == EXIT:
            row[vertex] = last
    return row
