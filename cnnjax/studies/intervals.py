"""Paired intervals over seeds, and Holm's correction of several comparisons."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cnnjax.extras import installed_with

LEVEL = 0.05
"""The share of false claims that is accepted: intervals hold the true difference in 95 %."""

Decision = Literal["supported", "not supported", "undecided"]


@dataclass(frozen=True)
class Decided:
    """The decision on a comparison.

    Attributes:
        decision: "supported" where the whole interval lies above the effect size, "not supported"
            where all of it lies below, else "undecided".
        mean: mean of the differences.
        low: lower end of the interval.
        high: upper end of the interval.
        level: the level at which it was decided, 0.05 for an interval of 95 %.
        p: p-value, two-sided, of the hypothesis that the true difference is the effect size.
        effect: mean of the differences over their standard deviation (Cohen's d of pairs); infinite
            where they are all equal and not 0.
        pairs: number of differences.
    """

    decision: Decision
    mean: float
    low: float
    high: float
    level: float
    p: float
    effect: float
    pairs: int


def decide(differences: Sequence[float], at_least: float = 0.0, level: float = LEVEL) -> Decided:
    """Decides whether paired differences are larger than an effect size, by Student's t.

    Differences that are all equal are undecided, unless they are 0 and the effect size is not.

    Args:
        differences: one for each seed, two or more.
        at_least: the effect size.
        level: share of false claims, in either direction, that is accepted.

    Raises:
        ValueError: there are fewer than two differences, or one is not finite.

    Example:
        >>> decided = decide([0.021, 0.034, 0.028], at_least=0.01)
        >>> decided.decision, round(decided.low, 4), round(decided.high, 4)
        ('supported', 0.0115, 0.0438)
    """
    with installed_with("train"):
        from scipy import special
    values = np.asarray(differences, np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"differences: {values} were given; give two finite numbers or more")
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    freedom = len(values) - 1
    error = spread / math.sqrt(len(values))
    half = float(special.stdtrit(freedom, 1 - level / 2)) * error
    # Differences of equal counts differ by rounding.
    if spread > 1e-9 * float(np.abs(values).max()):
        p = 2 * float(special.stdtr(freedom, -abs(mean - at_least) / error))
        effect = mean / spread
        decision = _decision(mean - half, mean + half, at_least)
    else:
        # Equal differences show no spread, and counts of few examples are equal by chance: only
        # outcomes without any difference are known to have none of the size that counts.
        decision = "not supported" if mean == 0 < at_least else "undecided"
        p = 1.0 if decision == "undecided" else 0.0
        effect = math.copysign(math.inf, mean) if mean else 0.0
    return Decided(decision, mean, mean - half, mean + half, level, p, effect, len(values))


def _decision(low: float, high: float, at_least: float) -> Decision:
    if low > at_least:
        return "supported"
    return "not supported" if high < at_least else "undecided"


def decide_together(
    comparisons: Sequence[tuple[Sequence[float], float]], level: float = LEVEL
) -> list[Decided]:
    """Decides several comparisons so that one false claim among all of them is rare.

    The smallest p-value is compared with the level divided by the number of comparisons, the next
    one with the level divided by one less, and so on; after the first that is too large, the others
    are undecided. Each interval has the level that its comparison was decided at.

    Args:
        comparisons: differences and effect size of each, as for `decide`.
        level: chance of a false claim among all that is accepted.

    Returns:
        The decisions in the order of `comparisons`.

    Example:
        >>> strong, weak = [0.5, 0.6, 0.55], [0.1, 0.3, -0.1]
        >>> [decided.decision for decided in decide_together([(weak, 0.0), (strong, 0.0)])]
        ['undecided', 'supported']

    Source: Holm, 1979, "A simple sequentially rejective multiple test procedure".
    """
    alone = [decide(differences, at_least, level) for differences, at_least in comparisons]
    order = sorted(range(len(alone)), key=lambda i: alone[i].p)
    decided: dict[int, Decided] = {}
    divisor = len(alone)
    for i in order:
        differences, at_least = comparisons[i]
        decided[i] = decide(differences, at_least, level / divisor)
        # From the first that is undecided on, the level stays: no later p-value is below it.
        if decided[i].decision != "undecided":
            divisor -= 1
    return [decided[i] for i in range(len(alone))]


def mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """Returns the mean of some seeds' values, and half the length of its 95 % interval.

    Args:
        values: one for each seed; of a single one the half is infinite.
    """
    with installed_with("train"):
        from scipy import special
    array = np.asarray(values, np.float64)
    if len(array) < 2:
        return float(array.mean()), math.inf
    error = float(array.std(ddof=1)) / math.sqrt(len(array))
    return float(array.mean()), float(special.stdtrit(len(array) - 1, 1 - LEVEL / 2)) * error
