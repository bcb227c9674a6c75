"""Spaces of genomes: which operations, nodes and edges a cell has, and what is allowed in it."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnjax.search.cells.canonical import canonical
from cnnjax.search.cells.genome import Cell, Edge, Genome
from cnnjax.search.cells.operations import find_operation
from cnnjax.search.errors import GenomeError, SearchError

OPERATION_NAMES = (
    "conv_1x1",
    "conv_3x3",
    "conv_5x5",
    "separable_3x3",
    "dilated_3x3",
    "max_3x3",
    "average_3x3",
    "identity",
)
"""The operations of a space that names none itself."""

MOST_LISTED = 1_000_000
"""Genomes of the largest space that is listed whole."""


@dataclass(frozen=True)
class CellSpace:
    """All genomes of cells with as many nodes, of some operations.

    A node adds up its edges; an edge applies an operation to an earlier node or to an input. The
    first input is the cell before, the second one the cell before that.

    Attributes:
        operations: names of the operations, registered or paths.
        nodes: number of nodes of a cell.
        inputs: number of inputs of a cell, 1 or 2.
        edges: number of edges of a node.
        reduction: whether a genome has a reduction cell too.

    Raises:
        SearchError: a number is out of its range, or a name occurs twice.
        PartError: there is no operation of that name; the message gives the nearest.

    Example:
        >>> from cnnjax import search
        >>> space = search.CellSpace(("conv_3x3", "identity"), nodes=2, inputs=1, reduction=False)
        >>> space.size, len(space.distinct())
        (64, 27)

    Source: Zoph et al., 2018 (NASNet), section 3; Real et al., 2019 (AmoebaNet), section 3.1.
    """

    operations: tuple[str, ...] = OPERATION_NAMES
    nodes: int = 4
    inputs: int = 2
    edges: int = 2
    reduction: bool = True

    def __post_init__(self) -> None:
        """Refuses what makes no space."""
        for name, least, most in (("nodes", 1, 8), ("inputs", 1, 2), ("edges", 1, 4)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise SearchError(
                    f"space.{name}: {value!r} was given; give a whole number from {least} to {most}"
                )
        names = self.operations
        if isinstance(names, str) or not names:
            raise SearchError(f"space.operations: {names!r} was given; give a tuple of names")
        object.__setattr__(self, "operations", tuple(names))
        for name in names:
            find_operation(name)
        if len(set(names)) < len(names):
            raise SearchError(f"space.operations: {names} has a name twice; give each once")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The cells of a genome, by name."""
        return ("normal", "reduction") if self.reduction else ("normal",)

    @property
    def choices(self) -> tuple[int, ...]:
        """The number of options of each decision: source and operation of every edge, in order."""
        cell = [
            options
            for node in range(self.nodes)
            for _ in range(self.edges)
            for options in (self.inputs + node, len(self.operations))
        ]
        return tuple(cell * len(self.kinds))

    @property
    def size(self) -> int:
        """The number of genomes, those that describe the same network included."""
        return math.prod(self.choices)

    def decode(self, decisions: Sequence[int]) -> Genome:
        """Returns the genome of a list of decisions.

        Args:
            decisions: for each entry of `choices`, the number of an option.
        """
        each = iter(int(decision) for decision in decisions)
        cells = [
            tuple(
                tuple(Edge(next(each), self.operations[next(each)]) for _ in range(self.edges))
                for _ in range(self.nodes)
            )
            for _ in self.kinds
        ]
        return Genome(*cells)

    def encode(self, genome: Genome) -> tuple[int, ...]:
        """Returns the decisions that make a genome.

        Args:
            genome: one of this space.

        Raises:
            GenomeError: it is of another space.
        """
        self.check(genome)
        return tuple(
            number
            for kind in self.kinds
            for node in getattr(genome, kind)
            for edge in node
            for number in (edge.source, self.operations.index(edge.operation))
        )

    def draw(self, random: np.random.Generator) -> Genome:
        """Returns a genome of which each decision is drawn evenly.

        Args:
            random: the generator.
        """
        return self.decode(random.integers(0, self.choices).tolist())

    def check(self, genome: Any) -> None:
        """Refuses a genome of another space.

        Args:
            genome: what was given.

        Raises:
            GenomeError: it is of another space; the message names the first difference.
        """
        if not isinstance(genome, Genome):
            raise GenomeError(
                f"genome: {genome!r:.200} was given; give a Genome, such as search.parse_genome "
                "returns"
            )
        if (genome.reduction is not None) != self.reduction:
            has, needs = ("a", "none") if genome.reduction is not None else ("no", "one")
            raise self._foreign(genome, f"it has {has} reduction cell, and this space has {needs}")
        for kind in self.kinds:
            self._check_cell(genome, kind, getattr(genome, kind))

    def _check_cell(self, genome: Genome, kind: str, cell: Cell) -> None:
        if len(cell) != self.nodes:
            raise self._foreign(genome, f"its {kind} cell has {len(cell)} nodes, not {self.nodes}")
        for number, node in enumerate(cell):
            place = f"node {number} of its {kind} cell"
            if len(node) != self.edges:
                raise self._foreign(genome, f"{place} has {len(node)} edges, not {self.edges}")
            for edge in node:
                if edge.operation not in self.operations:
                    known = ", ".join(self.operations)
                    problem = f"{place} has the operation {edge.operation!r}, which is none of "
                    raise self._foreign(genome, problem + known)
                if not 0 <= edge.source < self.inputs + number:
                    most = self.inputs + number - 1
                    problem = f"{place} takes the maps {edge.source}, and may take 0 to {most}"
                    raise self._foreign(genome, problem)

    def _foreign(self, genome: Genome, problem: str) -> GenomeError:
        return GenomeError(f"genome: {genome} is of another space: {problem}")

    def canonical(self, genome: Genome) -> Genome:
        """Returns the genome that all those with the same network have in common.

        Args:
            genome: one of this space.
        """
        return canonical(genome, self.inputs)

    def every(self) -> Iterator[Genome]:
        """Returns every genome, those that describe the same network included.

        Raises:
            SearchError: there are more than a million.
        """
        if self.size > MOST_LISTED:
            raise SearchError(
                f"space: it has {self.size:.3g} genomes, and at most {MOST_LISTED:,} are listed; "
                "give fewer nodes or operations"
            )
        return map(self.decode, itertools.product(*map(range, self.choices)))

    def distinct(self) -> list[Genome]:
        """Returns one genome for each network, the canonical one, sorted.

        Raises:
            SearchError: there are more than a million genomes.
        """
        return sorted({self.canonical(genome) for genome in self.every()}, key=str)
