"""Regularized evolution: the best of a few is mutated, and the oldest dies."""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cnnjax.search.cells.genome import Genome
from cnnjax.search.cells.space import CellSpace
from cnnjax.search.cells.variation import cross, mutate
from cnnjax.search.errors import SearchError
from cnnjax.search.strategies.pareto import pareto_front
from cnnjax.search.strategies.strategy import Evaluated, Proposer, Strategy


@dataclass(frozen=True)
class Evolution(Strategy):
    """Regularized (aging) evolution.

    The first cells are drawn. From then on, `sample` cells of the population are drawn, and the
    winner among them is mutated once. The child enters the population, and the oldest cell leaves
    it, however good it is: a cell that was lucky once has to be found again.

    Attributes:
        population: number of cells that are alive: the newest ones.
        sample: number of cells that compete to be the parent.
        crossover: probability with which a child takes its nodes from the winners of two samples,
            before it is mutated.
        objective: what a sample is won by: "score" (the best score), or "pareto" (a draw among
            those that no other one of the sample beats in score and multiply-adds at once).

    Raises:
        SearchError: a setting is out of its range.

    Source: Real et al., 2019, "Regularized evolution for image classifier architecture search",
    algorithm 1. Crossover and the Pareto objective are additions.
    """

    population: int = 20
    sample: int = 5
    crossover: float = 0.0
    objective: Literal["score", "pareto"] = "score"

    def __post_init__(self) -> None:
        """Refuses settings out of range."""
        for name in ("population", "sample"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise SearchError(
                    f"evolution.{name}: {value!r} was given; give a whole number from 1 on"
                )
        if self.sample > self.population:
            raise SearchError(
                f"evolution.sample: {self.sample} cells cannot be drawn from a population of "
                f"{self.population}; give a smaller sample"
            )
        if not 0 <= self.crossover <= 1:
            raise SearchError(
                f"evolution.crossover: {self.crossover!r} was given; give a number from 0 to 1"
            )
        if self.objective not in ("score", "pareto"):
            raise SearchError(
                f"evolution.objective: {self.objective!r} was given; give 'score' or 'pareto'"
            )

    def start(self, space: CellSpace) -> Proposer:
        """Returns the strategy at work, with an empty population.

        Args:
            space: the space of the proposals.
        """
        return _Population(self, space)

    def check(self, evaluations: int) -> None:
        """Refuses a number of evaluations that ends before the evolution starts.

        Args:
            evaluations: of the whole search.

        Raises:
            SearchError: the number is not above the population's.
        """
        super().check(evaluations)
        if evaluations <= self.population:
            raise SearchError(
                f"search.evaluations: {evaluations} do not go beyond the first population of "
                f"{self.population}, which is drawn; give more evaluations, or a smaller population"
            )


class _Population(Proposer):
    def __init__(self, settings: Evolution, space: CellSpace):
        self._settings, self._space = settings, space
        self._alive: deque[Evaluated] = deque(maxlen=settings.population)

    def propose(self, random: np.random.Generator) -> Genome:
        """Returns a child, or a drawn cell as long as the population is not complete.

        Args:
            random: the generator of this proposal.
        """
        if len(self._alive) < self._settings.population:
            return self._space.draw(random)
        parent = self._winner(random)
        if random.random() < self._settings.crossover:
            parent = cross(parent, self._winner(random), self._space, random)
        return mutate(parent, self._space, random)

    def observe(self, evaluated: Evaluated) -> None:
        """Adds a cell to the population; the oldest one leaves it.

        Args:
            evaluated: the cell.
        """
        self._alive.append(evaluated)

    def _winner(self, random: np.random.Generator) -> Genome:
        drawn = random.choice(len(self._alive), self._settings.sample, replace=False)
        sample = [self._alive[int(number)] for number in drawn]
        if self._settings.objective == "pareto":
            front = pareto_front(sample)
            return front[int(random.integers(len(front)))].genome
        return max(sample, key=lambda evaluated: evaluated.score).genome
