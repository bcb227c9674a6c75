"""Random search: every cell is drawn anew, and nothing is learned."""

from dataclasses import dataclass

import numpy as np

from cnnjax.search.cells.genome import Genome
from cnnjax.search.cells.space import CellSpace
from cnnjax.search.strategies.strategy import Evaluated, Proposer, Strategy


@dataclass(frozen=True)
class RandomSearch(Strategy):
    """Every decision of every cell is drawn evenly: the baseline of all others.

    Source: Li and Talwalkar, 2019, "Random search and reproducibility for neural architecture
    search".
    """

    def start(self, space: CellSpace) -> Proposer:
        """Returns the strategy at work.

        Args:
            space: the space of the proposals.
        """
        return _Draws(space)


class _Draws(Proposer):
    def __init__(self, space: CellSpace):
        self._space = space

    def propose(self, random: np.random.Generator) -> Genome:
        """Returns a cell.

        Args:
            random: the generator of this proposal.
        """
        return self._space.draw(random)

    def observe(self, evaluated: Evaluated) -> None:
        """Does nothing.

        Args:
            evaluated: not used.
        """
        del evaluated
