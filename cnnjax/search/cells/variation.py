"""Mutation and crossover of genomes; what they return is of the same space, always."""

import numpy as np

from cnnjax.search.cells.genome import Cell, Genome
from cnnjax.search.cells.space import CellSpace


def mutate(genome: Genome, space: CellSpace, random: np.random.Generator) -> Genome:
    """Returns a genome with one edge changed: either its source or its operation.

    A cell, a node and an edge are drawn. With equal chances another source is drawn for the edge,
    or another operation; where only one of the two has alternatives, that one changes.

    Args:
        genome: one of the space.
        space: the space.
        random: the generator.

    Raises:
        GenomeError: the genome is of another space.

    Example:
        >>> import numpy as np
        >>> from cnnjax import search
        >>> space = search.CellSpace(("conv_3x3", "identity"), nodes=1, inputs=1, reduction=False)
        >>> genome = search.parse_genome("normal: conv_3x3(0)+conv_3x3(0)")
        >>> str(search.mutate(genome, space, np.random.default_rng(0)))
        'normal: conv_3x3(0)+identity(0)'

    Source: Real et al., 2019, section 3.2 (hidden state mutation and operation mutation).
    """
    decisions = list(space.encode(genome))
    edges = len(decisions) // 2
    # Single-node cells of one operation and one input have nothing to change.
    open_edges = [e for e in range(edges) if max(space.choices[2 * e : 2 * e + 2]) > 1]
    if not open_edges:
        return genome
    edge = open_edges[int(random.integers(len(open_edges)))]
    kinds = [at for at in (2 * edge, 2 * edge + 1) if space.choices[at] > 1]
    at = kinds[int(random.integers(len(kinds)))]
    # One of the options other than the present one.
    step = 1 + int(random.integers(space.choices[at] - 1))
    decisions[at] = (decisions[at] + step) % space.choices[at]
    return space.decode(decisions)


def cross(first: Genome, second: Genome, space: CellSpace, random: np.random.Generator) -> Genome:
    """Returns a genome that has each node from one of two genomes, drawn evenly.

    A node's edges name earlier nodes by their numbers, and so fit behind those of either genome.

    Args:
        first: a genome of the space.
        second: another.
        space: the space.
        random: the generator.

    Raises:
        GenomeError: a genome is of another space.
    """
    space.check(first)
    space.check(second)

    def of_both(one: Cell, other: Cell) -> Cell:
        return tuple(a if random.integers(2) == 0 else b for a, b in zip(one, other, strict=True))

    return Genome(*(of_both(getattr(first, k), getattr(second, k)) for k in space.kinds))
