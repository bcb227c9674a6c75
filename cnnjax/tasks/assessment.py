"""How good predicted probabilities are: errors, likelihood, calibration, per class and confusions.

Everything is computed from sums over examples. The sums of batches, devices and hosts add up to
those of the whole split.
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
    """Returns the sums over a batch from which `Assessment` computes its figures.

    Args:
        log_probabilities: of each class, in nats. An example with a NaN has no prediction, and
            counts as wrong.
        labels: the true classes.
        weights: 1 for an example that counts, 0 for one that fills up the batch.

    Returns:
        `confusion` [classes, classes + 1]: the number of examples of each class (row) by the class
        predicted (column); the last column counts those without a prediction. On equal
        probabilities the lower class is predicted. `nll`: negative log-likelihoods. `top5`:
        examples with the truth among the five most probable classes. `bins` [3, bins]: examples,
        confidences and right predictions by the confidence, which is the probability of the
        predicted class; bin m of M holds confidences in ((m - 1) / M, m / M].
    """
    count, classes = log_probabilities.shape
    predicts = ~jnp.isnan(log_probabilities).any(axis=-1)
    # An example that fills up a batch may hold NaN, and 0 * NaN is NaN.
    counts = weights > 0
    guesses = jax.lax.top_k(log_probabilities, min(5, classes))[1]
    predicted = jnp.where(predicts, guesses[:, 0], classes)
    confusion = jnp.zeros((classes, classes + 1), weights.dtype).at[labels, predicted].add(weights)
    found = (guesses == labels[:, None]).any(axis=-1) & predicts
    own = log_probabilities[jnp.arange(count), labels]
    confidence = jnp.where(predicts, jnp.exp(log_probabilities.max(axis=-1)), 0)
    place = jnp.ceil(confidence * CALIBRATION_BINS).astype(jnp.int32) - 1
    # Rounding can give a confidence of 0, or one above 1: both belong to the bin beside them.
    place = jnp.clip(place, 0, CALIBRATION_BINS - 1)
    # Without a prediction there is no confidence: such an example is in no bin.
    binned = jnp.where(predicts, weights, 0)
    columns = jnp.stack([binned, binned * confidence, jnp.where(predicted == labels, binned, 0)])
    return {
        "confusion": confusion,
        "nll": jnp.where(counts, -weights * own, 0).sum(),
        "top5": jnp.where(found, weights, 0).sum(),
        "bins": jnp.zeros((3, CALIBRATION_BINS), weights.dtype).at[:, place].add(columns),
    }


@dataclass(frozen=True)
class CalibrationBin:
    """The predictions within one range of confidence.

    Attributes:
        low: the range's lower end, which is not part of it.
        high: the range's upper end, which is part of it.
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
    """Figures of a network's predictions on a whole split.

    Attributes:
        class_names: a name for each label.
        counts: the number of examples of each class (row) by the class predicted (column). One more
            column counts those without a prediction, whose probabilities are not numbers.
        nll: mean negative log-likelihood of the true classes, in nats.
        top5_error: share of the examples whose true class is not among the five most probable ones.
        bins: the reliability curve.
    """

    class_names: tuple[str, ...]
    counts: Int[np.ndarray, "classes predictions"]
    nll: float
    top5_error: float
    bins: tuple[CalibrationBin, ...]

    @classmethod
    def from_sums(cls, sums: Mapping[str, Any], class_names: Sequence[str]) -> "Assessment":
        """Returns the figures of added-up `assessment_sums`.

        Args:
            sums: added up over batches.
            class_names: a name for each label.

        Raises:
            ValueError: no example counted.
        """
        # The sums are floats, whose values are whole numbers but for rounding.
        counts = np.rint(np.asarray(sums["confusion"], np.float64)).astype(np.int64)
        total = int(counts.sum())
        if total == 0:
            raise ValueError("assessment: no example counted; there is nothing to evaluate")
        bins = np.asarray(sums["bins"], np.float64)
        return cls(
            class_names=tuple(class_names),
            counts=counts,
            nll=float(sums["nll"]) / total,
            top5_error=1 - float(sums["top5"]) / total,
            bins=tuple(_bin(place, *column) for place, column in enumerate(bins.T)),
        )

    @cached_property
    def examples(self) -> int:
        """Number of examples that counted."""
        return int(self.counts.sum())

    @property
    def confusion(self) -> Int[np.ndarray, "classes classes"]:
        """The number of examples of each class (row) by the class predicted (column)."""
        return self.counts[:, :-1]

    @property
    def unanswered(self) -> int:
        """Number of examples without a prediction: their probabilities are not numbers."""
        return int(self.counts[:, -1].sum())

    @property
    def right(self) -> int:
        """Number of examples whose most probable class is the true one."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of right predictions."""
        return self.right / self.examples

    @property
    def class_totals(self) -> Int[np.ndarray, " classes"]:
        """Number of examples of each class."""
        return self.counts.sum(axis=1)

    @property
    def class_accuracy(self) -> Float[np.ndarray, " classes"]:
        """Share of right predictions of each class; NaN for a class without examples."""
        totals = self.class_totals
        right = np.diag(self.confusion).astype(np.float64)
        return np.divide(right, totals, out=np.full(len(totals), np.nan), where=totals > 0)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: mean |accuracy - confidence|, weighted by bins' examples.

        Source: Guo et al. 2017, equation 3.
        """
        gaps = [b.examples * abs(b.accuracy - b.confidence) for b in self.bins if b.examples]
        # The bins are empty where no example has a prediction.
        return sum(gaps) / max(sum(b.examples for b in self.bins), 1)

    def metrics(self) -> dict[str, float]:
        """Returns the figures that are one number: shares of 1, and `nll` in nats."""
        return {
            "accuracy": self.accuracy,
            "top1_error": 1 - self.accuracy,
            "top5_error": self.top5_error,
            "nll": self.nll,
            "calibration_error": self.calibration_error,
        }

    def as_json(self) -> dict[str, Any]:
        """Returns all figures as JSON values; null in place of NaN and infinity."""
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
    # JSON has neither NaN nor infinity.
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
