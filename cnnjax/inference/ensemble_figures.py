"""Figures of classifiers and of their joined predictions: of one network, and of sets of them."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from cnnjax.tasks.class_predictions import ClassPredictions
from cnnjax.tasks.classification import Classification

MOST_SETS = 100
"""Sets of members that are joined for each size."""


@dataclass(frozen=True)
class MemberFigures:
    """Figures of a classifier on labeled images.

    Attributes:
        name: what it is.
        error: share of wrong images.
        nll: mean negative log-likelihood of the true classes, in nats.
        calibration_error: expected calibration error; see `tasks.Assessment`.
    """

    name: str
    error: float
    nll: float
    calibration_error: float


@dataclass(frozen=True)
class SizeFigures:
    """Figures of ensembles of one size, over sets of the members.

    Attributes:
        size: number of networks that are joined.
        sets: number of sets: all of that size, or about `MOST_SETS` of them, evenly spaced.
        error: their mean error.
        lowest: the lowest error of a set.
        highest: the highest.
        nll: their mean negative log-likelihood, in nats.
        calibration_error: the mean.
    """

    size: int
    sets: int
    error: float
    lowest: float
    highest: float
    nll: float
    calibration_error: float


def member_figures(
    name: str,
    log_probabilities: Float[np.ndarray, "images classes"],
    labels: Int[np.ndarray, " images"],
    class_names: Sequence[str],
) -> MemberFigures:
    """Returns the figures of a classifier.

    Args:
        name: what it is.
        log_probabilities: its predictions.
        labels: the true classes.
        class_names: a name for each.
    """
    found = ClassPredictions(
        np.asarray(log_probabilities, np.float32), labels, tuple(class_names)
    ).assessment
    return MemberFigures(name, 1 - found.accuracy, found.nll, found.calibration_error)


def size_figures(
    predictions: Float[np.ndarray, "members images classes"],
    labels: Int[np.ndarray, " images"],
    class_names: Sequence[str],
) -> tuple[SizeFigures, ...]:
    """Returns what 1, 2, … members joined are worth: the means of their probabilities.

    Args:
        predictions: log-probabilities.
        labels: the true classes.
        class_names: a name for each.
    """
    return tuple(
        _of_sets(sets, predictions, labels, class_names)
        for sets in (_sets(len(predictions), size) for size in range(1, len(predictions) + 1))
    )


def _sets(members: int, size: int) -> list[list[int]]:
    step = -(-math.comb(members, size) // MOST_SETS)
    every = itertools.combinations(range(members), size)
    return [list(those) for those in itertools.islice(every, 0, None, step)]


def _of_sets(
    sets: Sequence[Sequence[int]],
    predictions: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
) -> SizeFigures:
    task = Classification(tuple(class_names))
    found = [
        member_figures(
            "", np.asarray(task.combine(jnp.asarray(predictions[those]))), labels, class_names
        )
        for those in sets
    ]
    errors = [each.error for each in found]
    nll, calibration_error = (
        float(np.mean([getattr(each, name) for each in found]))
        for name in ("nll", "calibration_error")
    )
    return SizeFigures(
        size=len(sets[0]),
        sets=len(sets),
        error=float(np.mean(errors)),
        lowest=min(errors),
        highest=max(errors),
        nll=nll,
        calibration_error=calibration_error,
    )
