"""A linear probe in closed form: ridge regression on the classes, its penalty by validation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

Matrix = Float[np.ndarray, "examples features"]
Labels = Int[np.ndarray, " examples"]
Validation = tuple[Float[np.ndarray, "validated features"], Int[np.ndarray, " validated"]]

RELATIVE_PENALTIES = tuple(10.0**power for power in range(-6, 4))
"""Of the mean eigenvalue of the features' scatter matrix."""


@dataclass(frozen=True)
class LinearProbe:
    """A linear classifier of features.

    Attributes:
        weights: float64, [features, classes].
        bias: float64, [classes].
        penalty: the chosen factor of the squared weights.
        accuracies: that on the validation examples by penalty; empty where only one was tried.
    """

    weights: Float[np.ndarray, "features classes"]
    bias: Float[np.ndarray, " classes"]
    penalty: float
    accuracies: dict[float, float]

    def scores(self, features: Matrix) -> Float[np.ndarray, "examples classes"]:
        """Returns the scores of all classes, which are near 1 for the right one and near 0 else.

        Args:
            features: as those that the probe was fitted to.

        Raises:
            ValueError: there is another number of features.
        """
        if features.ndim != 2 or features.shape[1] != len(self.weights):
            raise ValueError(
                f"features: shape {features.shape} was given; the probe takes [examples, "
                f"{len(self.weights)}]"
            )
        return np.asarray(features, np.float64) @ self.weights + self.bias

    def accuracy(self, features: Matrix, labels: Labels) -> float:
        """Returns the share of examples whose largest score is that of their label.

        Args:
            features: of the examples.
            labels: their classes.
        """
        _check(features, labels, "features", "labels")
        return float((self.scores(features).argmax(axis=1) == labels).mean())


def fit_linear_probe(
    features: Matrix,
    labels: Labels,
    *,
    classes: int,
    validation: Validation | None = None,
    penalties: Sequence[float] | None = None,
) -> LinearProbe:
    """Fits scores of 1 for the right class and 0 for the others by ridge regression.

    The squared errors, summed over examples, plus the penalty times the squared weights are
    minimized; the bias has no penalty. All penalties are solved from one singular value
    decomposition in float64. The one with the highest accuracy on the validation examples is
    chosen, of equal ones the largest.

    Args:
        features: of the training examples.
        labels: their classes, from 0.
        classes: number of classes.
        validation: features and labels of other examples, which choose the penalty; None where one
            penalty is given.
        penalties: positive factors; None for `RELATIVE_PENALTIES` of the mean eigenvalue of the
            scatter matrix of the centered features.

    Raises:
        ValueError: sizes do not fit each other, a label has no class, a value is not finite, a
            penalty is not positive, or several are given without validation examples.

    Source: Hoerl and Kennard, "Ridge Regression", 1970; as a classifier Rifkin et al., 2003.

    Example:
        >>> features = np.array([[0.0], [1.0], [4.0], [5.0]])
        >>> probe = fit_linear_probe(features, np.array([0, 0, 1, 1]), classes=2, penalties=[1.0])
        >>> probe.scores(np.array([[0.0], [5.0]])).argmax(axis=1)
        array([0, 1])
    """
    _check_given(features, labels, classes, validation)
    x, targets = np.asarray(features, np.float64), np.eye(classes)[labels]
    center, target_center = x.mean(axis=0), targets.mean(axis=0)
    left, values, right = np.linalg.svd(x - center, full_matrices=False)
    tried = _penalties(penalties, validation is not None, float(np.square(values).mean()))
    projected = left.T @ (targets - target_center)

    def solve(penalty: float) -> LinearProbe:
        factors = values / (np.square(values) + penalty)
        weights = right.T @ (factors[:, None] * projected)
        return LinearProbe(weights, target_center - center @ weights, penalty, {})

    if validation is None:
        return solve(tried[0])
    probes = {penalty: solve(penalty) for penalty in sorted(tried, reverse=True)}
    accuracies = {penalty: probe.accuracy(*validation) for penalty, probe in probes.items()}
    best = max(accuracies, key=lambda penalty: accuracies[penalty])
    return replace(probes[best], accuracies=accuracies)


def _check_given(features: np.ndarray, labels: np.ndarray, classes: int, validation: Any) -> None:
    """Refuses examples that do not fit each other; the decomposition may take long."""
    _check(features, labels, "features", "labels")
    if not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(
            f"labels: they go from {labels.min()} to {labels.max()}, but there are {classes} "
            "classes, counted from 0"
        )
    if validation is None:
        return
    _check(validation[0], validation[1], "validation features", "validation labels")
    if validation[0].shape[1] != features.shape[1]:
        raise ValueError(
            f"validation: its {validation[0].shape[1]} features differ from the "
            f"{features.shape[1]} of training; take them from the same layer"
        )


def _penalties(given: Sequence[float] | None, chosen: bool, scale: float) -> list[float]:
    tried = [float(p) for p in given] if given is not None else []
    if given is None:
        # Features that are all equal have no scale; any penalty then gives the same.
        tried = [p * (scale or 1.0) for p in RELATIVE_PENALTIES]
    if not tried or not all(0 < p < np.inf for p in tried):
        raise ValueError(f"penalties: {given!r} was given; give numbers above 0")
    if len(tried) > 1 and not chosen:
        raise ValueError(
            f"penalties: {len(tried)} are tried, but there are no validation examples to choose "
            "one by; give validation=(features, labels), or one penalty"
        )
    return tried


def _check(features: np.ndarray, labels: np.ndarray, of: str, by: str) -> None:
    if features.ndim != 2 or len(features) != len(labels) or not len(labels):
        raise ValueError(
            f"{of}: shape {features.shape} was given with {by} of shape {labels.shape}; give "
            "[examples, features] and [examples]"
        )
    if not np.isfinite(features).all():
        raise ValueError(f"{of}: some are not finite; check the network's variables")
