"""One genome for all that describe the same network.

The order of a node's edges does not matter, and neither does the order of nodes that do not need
each other: of all orders that are allowed, the one with the smallest text is taken.
"""

import functools
import itertools

from cnnjax.search.cells.genome import Cell, Edge, Genome


def canonical(genome: Genome, inputs: int) -> Genome:
    """Returns the genome that all those with the same network have in common.

    Args:
        genome: any genome.
        inputs: number of inputs of its cells.
    """
    reduction = genome.reduction
    return Genome(
        canonical_cell(genome.normal, inputs),
        None if reduction is None else canonical_cell(reduction, inputs),
    )


@functools.lru_cache(maxsize=65536)
def canonical_cell(cell: Cell, inputs: int) -> Cell:
    """Returns the smallest of the cells that differ in the order of nodes and edges alone.

    Args:
        cell: a cell.
        inputs: number of its inputs.
    """
    orders = itertools.permutations(range(len(cell)))
    return min(
        _reordered(cell, order, inputs) for order in orders if _is_allowed(cell, order, inputs)
    )


def _is_allowed(cell: Cell, order: tuple[int, ...], inputs: int) -> bool:
    """Returns whether each node comes after those that it takes."""
    place = {number: at for at, number in enumerate(order)}
    return all(
        place[edge.source - inputs] < place[number]
        for number, node in enumerate(cell)
        for edge in node
        if edge.source >= inputs
    )


def _reordered(cell: Cell, order: tuple[int, ...], inputs: int) -> Cell:
    """Returns the cell with its nodes in an order, and the edges of each node sorted."""
    # Inputs keep their numbers: which cell they come from matters.
    new = {number: number for number in range(inputs)}
    new |= {inputs + number: inputs + at for at, number in enumerate(order)}
    return tuple(
        tuple(sorted(Edge(new[edge.source], edge.operation) for edge in cell[number]))
        for number in order
    )
