"""Genomes: a normal and a reduction cell as data, and the text that writes them down."""

import re
from typing import NamedTuple

from cnnjax.search.errors import GenomeError


class Edge(NamedTuple):
    """An operation on one of the earlier maps of its cell.

    Attributes:
        source: number of these maps: those of the cell's inputs come first, then its nodes'.
        operation: name of the operation.
    """

    source: int
    operation: str


Node = tuple[Edge, ...]
"""The edges whose results a node adds up."""

Cell = tuple[Node, ...]
"""The nodes of a cell. What no other node takes is joined into the cell's output."""


class Genome(NamedTuple):
    """The cells that a network repeats.

    Attributes:
        normal: the cell that keeps the size of its maps.
        reduction: the cell that halves it; None where the network does that by a pool.

    Example:
        >>> from cnnjax import search
        >>> genome = search.parse_genome("normal: conv_3x3(0)+identity(0) | max_3x3(1)+identity(0)")
        >>> genome.normal[1]
        (Edge(source=1, operation='max_3x3'), Edge(source=0, operation='identity'))
        >>> str(genome)
        'normal: conv_3x3(0)+identity(0) | max_3x3(1)+identity(0)'
    """

    normal: Cell
    reduction: Cell | None = None

    def __str__(self) -> str:
        text = f"normal: {_cell_text(self.normal)}"
        return (
            text if self.reduction is None else f"{text}; reduction: {_cell_text(self.reduction)}"
        )


_GENOME = re.compile(r"normal: (?P<normal>[^;]+?)(?:; reduction: (?P<reduction>[^;]+))?")
_EDGE = re.compile(r"(?P<operation>[^()+|; ]+)\((?P<source>\d{1,3})\)")


def parse_genome(text: str) -> Genome:
    """Returns the genome that a text writes down, as `str` of a genome gives it.

    Args:
        text: the cells: nodes are separated by " | ", edges by "+"; an edge is the operation's
            name, and in brackets the number of the maps that it takes.

    Raises:
        GenomeError: the text has another form.
    """
    match = _GENOME.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise GenomeError(
            f"genome: {text!r:.200} has another form than 'normal: CELL' or 'normal: CELL; "
            "reduction: CELL'"
        )
    reduction = match["reduction"]
    return Genome(
        _parse_cell(match["normal"]), None if reduction is None else _parse_cell(reduction)
    )


def _parse_cell(text: str) -> Cell:
    return tuple(
        tuple(_parse_edge(edge.strip()) for edge in node.split("+")) for node in text.split("|")
    )


def _parse_edge(text: str) -> Edge:
    match = _EDGE.fullmatch(text)
    if match is None:
        raise GenomeError(
            f"genome: {text!r:.200} is no edge; one has the form OPERATION(SOURCE), such as "
            "conv_3x3(0)"
        )
    return Edge(int(match["source"]), match["operation"])


def _cell_text(cell: Cell) -> str:
    return " | ".join("+".join(f"{e.operation}({e.source})" for e in node) for node in cell)


def loose_ends(cell: Cell, inputs: int) -> list[int]:
    """Returns the numbers of the nodes that no other node takes, which the cell's output joins.

    Args:
        cell: a cell.
        inputs: number of its inputs, which are counted first.
    """
    taken = {edge.source for node in cell for edge in node}
    return [number for number in range(inputs, inputs + len(cell)) if number not in taken]
