"""What a strategy is: a rule that proposes cells, and learns from their scores in order."""

import abc
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cnnjax.search.cells.genome import Genome
from cnnjax.search.cells.space import CellSpace
from cnnjax.search.errors import SearchError


@dataclass(frozen=True)
class Evaluated:
    """A cell that was evaluated.

    Attributes:
        number: of the evaluation, from 0.
        genome: the cell.
        score: what is to be large, such as the accuracy on held-out examples.
        multiply_adds: of its network, for one image.
        parameters: of its network.
        seconds: that the evaluation took.
    """

    number: int
    genome: Genome
    score: float
    multiply_adds: int = 0
    parameters: int = 0
    seconds: float = 0.0


class Proposer(abc.ABC):
    """A strategy at work: its memory of the evaluations so far."""

    @abc.abstractmethod
    def propose(self, random: np.random.Generator) -> Genome:
        """Returns the next cell; the memory stays as it is.

        Args:
            random: the generator of this proposal.
        """

    @abc.abstractmethod
    def observe(self, evaluated: Evaluated) -> None:
        """Takes an evaluation into the memory.

        Args:
            evaluated: the evaluations come in the order of their numbers.
        """


class Strategy(abc.ABC):
    """How cells are proposed; subclasses are dataclasses of settings."""

    @abc.abstractmethod
    def start(self, space: CellSpace) -> Proposer:
        """Returns the strategy at work, with an empty memory.

        Args:
            space: the space of the proposals.
        """

    def check(self, evaluations: int) -> None:
        """Refuses a number of evaluations that the strategy can do nothing with.

        Args:
            evaluations: of the whole search.

        Raises:
            SearchError: the number is too small.
        """
        if isinstance(evaluations, bool) or not isinstance(evaluations, int) or evaluations < 1:
            raise SearchError(
                f"search.evaluations: {evaluations!r} was given; give a whole number from 1 on"
            )

    def describe(self) -> dict[str, Any]:
        """Returns the strategy as JSON values, which distinguish a search from others."""
        # Every strategy is a dataclass; the type checker sees the base class alone.
        return {"name": type(self).__name__, **asdict(self)}  # pyright: ignore[reportArgumentType]


def generator_of(seed: int, number: int) -> np.random.Generator:
    """Returns the generator of a proposal: a function of seed and number alone.

    So nothing of it has to be saved, and a search that was killed goes on with the same proposals.

    Args:
        seed: of the search.
        number: of the evaluation.
    """
    return np.random.default_rng((seed, number))


def propose_at(
    strategy: Strategy,
    space: CellSpace,
    history: Sequence[Evaluated],
    number: int,
    *,
    seed: int,
    ahead: int = 1,
    allowed: Callable[[Genome], bool] | None = None,
) -> Genome:
    """Returns the cell of an evaluation: a function of seed, number and earlier evaluations.

    Args:
        strategy: the strategy.
        space: the space of the proposals.
        history: the evaluations so far, by number, at least the first `number + 1 - ahead`.
        number: of the evaluation.
        seed: of the search.
        ahead: how many evaluations may be under way at once: the newest `ahead - 1` before this one
            are not waited for, and change nothing.
        allowed: which cells may be proposed; None for all.

    Raises:
        SearchError: of 1,000 proposals none was allowed.
    """
    proposer = strategy.start(space)
    for evaluated in history[: max(0, number + 1 - ahead)]:
        proposer.observe(evaluated)
    return propose_allowed(proposer, generator_of(seed, number), allowed)


def propose_allowed(
    proposer: Proposer, random: np.random.Generator, allowed: Callable[[Genome], bool] | None
) -> Genome:
    """Returns the first allowed cell of a generator's proposals.

    Args:
        proposer: a strategy at work.
        random: the generator.
        allowed: which cells may be proposed; None for all.

    Raises:
        SearchError: of 1,000 proposals none was allowed.
    """
    for _ in range(1000):
        genome = proposer.propose(random)
        if allowed is None or allowed(genome):
            return genome
    raise SearchError(
        "search.most_multiply_adds: of 1,000 proposed cells none has so few; give more"
    )


def search_in_memory(
    strategy: Strategy,
    space: CellSpace,
    evaluate: Callable[[int, Genome], Evaluated],
    evaluations: int,
    *,
    seed: int = 0,
    ahead: int = 1,
) -> list[Evaluated]:
    """Returns the history of a search whose evaluations are quick; nothing is written.

    Args:
        strategy: the strategy.
        space: the space of the proposals.
        evaluate: returns the evaluation of a number and a cell.
        evaluations: number of them.
        seed: of the search.
        ahead: see `propose_at`.

    Raises:
        SearchError: the strategy can do nothing with so few evaluations.

    Example:
        >>> from cnnjax import search
        >>> space = search.CellSpace(("conv_3x3", "identity"), nodes=1, inputs=1, reduction=False)
        >>> def count_convolutions(number, genome):
        ...     return search.Evaluated(number, genome, str(genome).count("conv"))
        >>> strategy = search.Evolution(population=4, sample=2)
        >>> history = search.search_in_memory(strategy, space, count_convolutions, 20)
        >>> max(evaluated.score for evaluated in history)
        2
    """
    strategy.check(evaluations)
    proposer, history = strategy.start(space), []
    for number in range(evaluations):
        if number >= ahead:
            proposer.observe(history[number - ahead])
        genome = proposer.propose(generator_of(seed, number))
        history.append(evaluate(number, genome))
    return history
