"""Searches on the table: an evaluation is a look-up, so that hundreds take seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from cnnjax.search.cells.genome import Genome
from cnnjax.search.cells.space import CellSpace
from cnnjax.search.errors import SearchError
from cnnjax.search.strategies.strategy import Evaluated, Strategy, search_in_memory
from cnnjax.search.table.package_table import PACKAGE_TABLE
from cnnjax.search.table.table import SPACE, Cells, MeasuredCell, read_cells


class CellTable:
    """What was measured of every cell of a small space.

    Args:
        cells: content of a table's file; None for the table of the package.

    Raises:
        SearchError: the table is damaged, or lacks a cell.
    """

    def __init__(self, cells: Cells | None = None):
        self.content = read_cells(PACKAGE_TABLE) if cells is None else cells
        self._by_genome = {cell.genome: cell for cell in self.content.cells}
        missing = [genome for genome in SPACE.distinct() if genome not in self._by_genome]
        if missing:
            raise SearchError(
                f"table: it lacks {len(missing)} cells, such as {missing[0]}; complete it with "
                "`python -m scripts.cell_table`"
            )
        # Looked up again and again, and not canonical.
        self._known: dict[Genome, MeasuredCell] = {}

    @property
    def space(self) -> CellSpace:
        """The space of the table's cells."""
        return SPACE

    @property
    def cells(self) -> tuple[MeasuredCell, ...]:
        """All cells."""
        return self.content.cells

    def cell(self, genome: Genome) -> MeasuredCell:
        """Returns what was measured of a cell.

        Args:
            genome: any genome of the space.

        Raises:
            GenomeError: it is of another space.
        """
        found = self._known.get(genome)
        if found is None:
            SPACE.check(genome)
            found = self._known[genome] = self._by_genome[SPACE.canonical(genome)]
        return found

    def accuracy(self, genome: Genome, split: str = "validation") -> float:
        """Returns the mean accuracy of a cell's three networks.

        Args:
            genome: any genome of the space.
            split: "validation" or "test".

        Raises:
            GenomeError: it is of another space.
        """
        counts = getattr(self.cell(genome), split)
        return float(np.mean(counts)) / self.content.description["images"][split]

    @cached_property
    def best(self) -> MeasuredCell:
        """The cell with the best mean accuracy on the validation examples: the known optimum."""
        return max(self.cells, key=lambda cell: sum(cell.validation))

    def evaluate(self, number: int, genome: Genome, seed: int) -> Evaluated:
        """Returns an evaluation as a search makes it: of one training, and not of the mean.

        Args:
            number: of the evaluation.
            genome: the cell.
            seed: of the search; with the number it draws which of the three trainings is taken.

        Raises:
            GenomeError: the genome is of another space.
        """
        cell = self.cell(genome)
        # Another generator than that of the proposal.
        drawn = int(np.random.default_rng((seed, number, 1)).integers(len(cell.validation)))
        score = cell.validation[drawn] / self.content.description["images"]["validation"]
        return Evaluated(number, genome, score, cell.multiply_adds, cell.parameters, cell.seconds)


@dataclass(frozen=True)
class Courses:
    """How searches went on the table, [repetitions, evaluations] each.

    Attributes:
        regret: by how much the cell that would be chosen after each evaluation, that with the best
            score, is worse than the known optimum: difference of mean validation accuracies.
        test: mean test accuracy of that cell.
    """

    regret: Float[np.ndarray, "repetitions evaluations"]
    test: Float[np.ndarray, "repetitions evaluations"]


def repeat_on_table(
    table: CellTable,
    strategies: Mapping[str, Strategy],
    *,
    evaluations: int,
    seeds: Sequence[int],
) -> dict[str, Courses]:
    """Returns the courses of searches on the table, one for each strategy and seed.

    Args:
        table: the table.
        strategies: by name.
        evaluations: of each search.
        seeds: one for each repetition.

    Raises:
        SearchError: a strategy can do nothing with so few evaluations.
    """
    return {
        name: _courses(table, strategy, evaluations, seeds) for name, strategy in strategies.items()
    }


def _courses(
    table: CellTable, strategy: Strategy, evaluations: int, seeds: Sequence[int]
) -> Courses:
    best = table.accuracy(table.best.genome)
    regret = np.empty((len(seeds), evaluations))
    test = np.empty((len(seeds), evaluations))
    for row, seed in enumerate(seeds):

        def evaluate(number: int, genome: Genome, seed: int = seed) -> Evaluated:
            return table.evaluate(number, genome, seed)

        history = search_in_memory(strategy, table.space, evaluate, evaluations, seed=seed)
        chosen = history[0]
        for column, evaluated in enumerate(history):
            if evaluated.score > chosen.score:
                chosen = evaluated
            regret[row, column] = best - table.accuracy(chosen.genome)
            test[row, column] = table.accuracy(chosen.genome, "test")
    return Courses(regret, test)
