"""REINFORCE: a table of probabilities, one for each option of each decision, follows the scores."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cnnjax.search.cells.genome import Genome
from cnnjax.search.cells.space import CellSpace
from cnnjax.search.errors import SearchError
from cnnjax.search.strategies.strategy import Evaluated, Proposer, Strategy


@dataclass(frozen=True)
class Reinforce(Strategy):
    """Policy gradient: decisions of cells that are better than the average become more probable.

    The policy has a softmax of its own for each decision, and no network. The reward is the score
    minus a moving average of the scores, in units of their moving standard deviation.

    Attributes:
        learning_rate: of the logits.
        decay: weight of the old in the moving averages.

    Raises:
        SearchError: a setting is out of its range.

    Source: Williams, 1992; Zoph and Le, 2017, section 3.2, whose policy is a recurrent network.
    """

    learning_rate: float = 0.3
    decay: float = 0.9

    def __post_init__(self) -> None:
        """Refuses settings out of range."""
        if not self.learning_rate > 0:
            raise SearchError(
                f"reinforce.learning_rate: {self.learning_rate!r} was given; give more than 0"
            )
        if not 0 <= self.decay < 1:
            raise SearchError(f"reinforce.decay: {self.decay!r} was given; give 0 or more, below 1")

    def start(self, space: CellSpace) -> Proposer:
        """Returns the strategy at work, with even probabilities.

        Args:
            space: the space of the proposals.
        """
        return Policy(self, space)


class Policy(Proposer):
    """The probabilities of a policy, and the averages of its rewards.

    Args:
        settings: of the strategy.
        space: the space of the proposals.
    """

    def __init__(self, settings: Reinforce, space: CellSpace):
        self._settings, self._space = settings, space
        options = np.asarray(space.choices)
        # Decisions have different numbers of options; those that there are not stay impossible.
        there = np.arange(options.max())[None, :] < options[:, None]
        self._logits = np.where(there, 0.0, -np.inf)
        self._mean, self._variance, self._count = 0.0, 0.0, 0

    @property
    def probabilities(self) -> Float[np.ndarray, "decisions options"]:
        """The probability of each option of each decision."""
        weights = np.exp(self._logits - self._logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def propose(self, random: np.random.Generator) -> Genome:
        """Returns a cell whose decisions are drawn from the policy.

        Args:
            random: the generator of this proposal.
        """
        sums = np.cumsum(self.probabilities, axis=1)
        drawn = (random.random((len(sums), 1)) >= sums).sum(axis=1)
        # The last sum may be rounded to just below 1.
        return self._space.decode(np.minimum(drawn, np.asarray(self._space.choices) - 1).tolist())

    def observe(self, evaluated: Evaluated) -> None:
        """Moves the probabilities of a cell's decisions by its reward.

        Args:
            evaluated: the cell.
        """
        difference = evaluated.score - self._mean
        decisions = self._space.encode(evaluated.genome)
        if self._count:
            deviation = np.sqrt(self._variance) or abs(difference) or 1.0
            reward = difference / deviation
            gradient = -self.probabilities
            gradient[np.arange(len(decisions)), list(decisions)] += 1
            moved = self._logits + self._settings.learning_rate * reward * gradient
            self._logits = np.where(np.isfinite(self._logits), moved, -np.inf)
        # The first score is its own average.
        weight = 1 - self._settings.decay if self._count else 1.0
        self._variance = (1 - weight) * (self._variance + weight * difference**2)
        self._mean += weight * difference
        self._count += 1
