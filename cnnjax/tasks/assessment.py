"""How good predicted probabilities are: errors, likelihood, calibration, per class and confusions.

Everything is computed from sums over examples, which add up over batches, devices and hosts to what
the whole split gives.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

CALIBRATION_BINS = 15
"""Bins of confidence, all of one width, as in Guo et al. 2017, section 4."""


def assessment_sums(
    log_probabilities: Float[Array, "batch classes"],
    labels: Int[Array, " batch"],
    weights: Float[Array, " batch"],
) -> dict[str, Float[Array, "..."]]:
    """Returns the sums over a batch from which `Assessment` makes its figures.

    Args:
        log_probabilities: of each class, in nats. An example among whose values is NaN has no
            answer, and counts as wrong.
        labels: the true classes.
        weights: 1 for an example that counts, 0 for one that fills up the batch.

    Returns:
        `confusion` [classes, classes + 1]: examples of each class (row) that were taken for each
        class, and in the last column those without an answer; on equal probabilities the lower
        class goes first. `nll`: negative log-likelihoods. `top5`: examples with the truth among the
        five most probable classes. `bins` [3, bins]: examples, confidences and right answers by the
        confidence, the probability of the class answered; bin m of M holds those in
        ((m - 1) / M, m / M].
    """
    count, classes = log_probabilities.shape
    answered = ~jnp.isnan(log_probabilities).any(axis=-1)
    # What fills up a batch may hold anything, also NaN, which 0 would not silence in a product.
    counts = weights > 0
    guesses = jax.lax.top_k(log_probabilities, min(5, classes))[1]
    said = jnp.where(answered, guesses[:, 0], classes)
    confusion = jnp.zeros((classes, classes + 1), weights.dtype).at[labels, said].add(weights)
    found = (guesses == labels[:, None]).any(axis=-1) & answered
    own = log_probabilities[jnp.arange(count), labels]
    confidence = jnp.where(answered, jnp.exp(log_probabilities.max(axis=-1)), 0)
    place = jnp.ceil(confidence * CALIBRATION_BINS).astype(jnp.int32) - 1
    place = jnp.clip(place, 0, CALIBRATION_BINS - 1)
    binned = jnp.where(answered, weights, 0)
    columns = jnp.stack([binned, binned * confidence, jnp.where(said == labels, binned, 0)])
    return {
        "confusion": confusion,
        "nll": jnp.where(counts, -weights * own, 0).sum(),
        "top5": jnp.where(found, weights, 0).sum(),
        "bins": jnp.zeros((3, CALIBRATION_BINS), weights.dtype).at[:, place].add(columns),
    }


@dataclass(frozen=True)
class CalibrationBin:
    """The answers of one range of confidence.

    Attributes:
        low, high: the range, `low` exclusive and `high` inclusive.
        examples: their number.
        confidence: their mean confidence; NaN where there are none.
        accuracy: the share of them that is right; NaN where there are none.
    """

    low: float
    high: float
    examples: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Assessment:
    """Figures of a network's answers on a whole split.

    Attributes:
        class_names: a name for each label.
        answers: examples of each class (row) that were taken for each class (column), and in one
            more column those without an answer, whose probabilities were not numbers.
        nll: mean negative log-likelihood of the true classes, in nats.
        top5_error: share of the examples whose true class has five others before it.
        bins: the reliability curve.
    """

    class_names: tuple[str, ...]
    answers: Int[np.ndarray, "classes answers"]
    nll: float
    top5_error: float
    bins: tuple[CalibrationBin, ...]

    @classmethod
    def from_sums(cls, sums: Mapping[str, Any], class_names: Sequence[str]) -> "Assessment":
        """Turns added-up `assessment_sums` into figures.

        Raises:
            ValueError: no example counted.
        """
        answers = np.rint(np.asarray(sums["confusion"], np.float64)).astype(np.int64)
        total = int(answers.sum())
        if total == 0:
            raise ValueError("assessment: no example counted; there is nothing to evaluate")
        bins = np.asarray(sums["bins"], np.float64)
        return cls(
            class_names=tuple(class_names),
            answers=answers,
            nll=float(sums["nll"]) / total,
            top5_error=1 - float(sums["top5"]) / total,
            bins=tuple(_bin(place, *column) for place, column in enumerate(bins.T)),
        )

    @cached_property
    def examples(self) -> int:
        """Number of examples that counted."""
        return int(self.answers.sum())

    @property
    def confusion(self) -> Int[np.ndarray, "classes classes"]:
        """Examples of each class (row) that were taken for each class (column)."""
        return self.answers[:, :-1]

    @property
    def unanswered(self) -> int:
        """Number of examples whose probabilities were not numbers."""
        return int(self.answers[:, -1].sum())

    @property
    def right(self) -> int:
        """Number of examples whose most probable class is the true one."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / self.examples

    @property
    def class_totals(self) -> Int[np.ndarray, " classes"]:
        """Number of examples of each class."""
        return self.answers.sum(axis=1)

    @property
    def class_accuracy(self) -> Float[np.ndarray, " classes"]:
        """Share of right answers of each class; NaN for a class without examples."""
        totals = self.class_totals
        right = np.diag(self.confusion).astype(np.float64)
        return np.divide(right, totals, out=np.full(len(totals), np.nan), where=totals > 0)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: mean |accuracy - confidence| of the bins, by their examples.

        Source: Guo et al. 2017, equation 3.
        """
        gaps = [b.examples * abs(b.accuracy - b.confidence) for b in self.bins if b.examples]
        return sum(gaps) / max(sum(b.examples for b in self.bins), 1)

    def metrics(self) -> dict[str, float]:
        """Returns the figures that are one number, shares of 1 but for `nll` (nats)."""
        return {
            "accuracy": self.accuracy,
            "top1_error": 1 - self.accuracy,
            "top5_error": self.top5_error,
            "nll": self.nll,
            "calibration_error": self.calibration_error,
        }

    def as_json(self) -> dict[str, Any]:
        """Returns all figures as JSON values; what is not a number is null."""
        return _without_nan(
            {
                "examples": self.examples,
                **self.metrics(),
                "unanswered": self.unanswered,
                "calibration_bins": [vars(b) for b in self.bins],
                "classes": [
                    {"name": name, "examples": int(total), "accuracy": float(accuracy)}
                    for name, total, accuracy in zip(
                        self.class_names, self.class_totals, self.class_accuracy, strict=True
                    )
                ],
                "confusion": self.confusion.tolist(),
            }
        )


def _bin(place: int, examples: float, confidence: float, right: float) -> CalibrationBin:
    return CalibrationBin(
        low=place / CALIBRATION_BINS,
        high=(place + 1) / CALIBRATION_BINS,
        examples=round(examples),
        confidence=confidence / examples if examples else math.nan,
        accuracy=right / examples if examples else math.nan,
    )


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
