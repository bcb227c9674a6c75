"""Cells that no other one beats in score and multiply-adds at once."""

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Scored(Protocol):
    """What has a score and a cost."""

    @property
    def score(self) -> float:
        """What is to be large."""
        ...

    @property
    def multiply_adds(self) -> int:
        """What is to be small."""
        ...


Cell = TypeVar("Cell", bound=Scored)


def pareto_front(cells: Sequence[Cell]) -> list[Cell]:
    """Returns the cells that are not dominated, by rising multiply-adds and score.

    A cell is dominated where another one has at least its score for at most its multiply-adds, and
    is better in one of the two. Of cells that are equal in both the first one is returned.

    Args:
        cells: whatever has `score` and `multiply_adds`.

    Example:
        >>> from cnnjax import search
        >>> genome = search.parse_genome("normal: identity(0)")
        >>> cells = [search.Evaluated(n, genome, s, m) for n, (s, m) in enumerate(
        ...     [(0.9, 10), (0.8, 20), (0.95, 30), (0.9, 10)])]
        >>> [cell.number for cell in search.pareto_front(cells)]
        [0, 2]
    """
    front: list[Cell] = []
    # Of as many multiply-adds the best comes first; the sort keeps the order of equal ones.
    for cell in sorted(cells, key=lambda cell: (cell.multiply_adds, -cell.score)):
        if not front or cell.score > front[-1].score:
            front.append(cell)
    return front
