"""From base classes to novel ones: features of a network that has never seen the novel classes.

`cnnjax.transfer.layer_features` gives the features.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from cnnjax import data
from cnnjax.transfer.few_labels import choose_classes

Rows = Float[np.ndarray, "examples values"]
Labels = Int[np.ndarray, " examples"]
Queries = Float[np.ndarray, "queries values"]
Classes = Int[np.ndarray, " queries"]

RIDGES = tuple(10.0**power for power in range(-6, 5))
"""Strengths of the ridge to choose from, as shares of the mean eigenvalue."""


@dataclass(frozen=True)
class ClassSplit:
    """Classes that a network is trained on, and classes that it never sees.

    Attributes:
        base: labels of the classes to train on.
        novel: labels of the classes that are learned from few labels afterwards.

    Raises:
        ValueError: a class is in both or twice in one, or a split has fewer than two.

    Example:
        >>> split = ClassSplit(base=(0, 1, 2, 3, 4, 5), novel=(6, 7, 8, 9))
        >>> split.names("novel", tuple("0123456789"))
        ('6', '7', '8', '9')
    """

    base: tuple[int, ...]
    novel: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuses splits that are not disjoint."""
        for name in ("base", "novel"):
            classes = getattr(self, name)
            if len(classes) < 2:
                raise ValueError(f"{name}: {classes} was given; give two classes or more")
        twice = sorted(c for c in {*self.base, *self.novel} if self._count(c) > 1)
        if twice:
            raise ValueError(
                f"base and novel: class {twice[0]} is there twice; give each class to one split"
            )

    def _count(self, label: int) -> int:
        return [*self.base, *self.novel].count(label)

    def choose(self, examples: data.Examples, part: Literal["base", "novel"]) -> data.Examples:
        """Returns the examples of a split, with labels from 0 on in the order of its classes.

        Args:
            examples: of the classes of both splits.
            part: "base" or "novel".

        Raises:
            ValueError: an example's class is in no split, or a class has no example.
        """
        if part not in ("base", "novel"):
            raise ValueError(f"part: {part!r} was given; give 'base' or 'novel'")
        labels = examples.column("label")
        if lost := sorted({int(label) for label in labels} - {*self.base, *self.novel}):
            raise ValueError(
                f"examples: class {lost[0]} is in no split; give it to base or novel, or leave its "
                "examples out"
            )
        return choose_classes(examples, getattr(self, part))

    def names(self, part: Literal["base", "novel"], class_names: Sequence[str]) -> tuple[str, ...]:
        """Returns the names of a split's classes, by their new labels.

        Args:
            part: "base" or "novel".
            class_names: a name for each label of the whole set.
        """
        classes: tuple[int, ...] = getattr(self, part)
        return tuple([class_names[label] for label in classes])


def nearest_means(support: Rows, labels: Labels, queries: Queries) -> Classes:
    """Returns the class whose mean feature is nearest to each query's, after normalization.

    Features are first reduced by the mean of the support and divided by their length, as
    "CL2N" in the paper.

    Args:
        support: features of the labeled examples.
        labels: their classes, from 0 on.
        queries: features of other examples.

    Returns:
        A class for each query; of equally near ones the lower.

    Source: Wang et al. 2019 ("SimpleShot"), section 3.
    """
    center = support.mean(axis=0)
    support, queries = _unit(support - center), _unit(queries - center)
    classes = np.unique(labels)
    means = np.stack([support[labels == label].mean(axis=0) for label in classes])
    distances = ((queries[:, None] - means[None]) ** 2).sum(axis=-1)
    return classes[distances.argmin(axis=1)]


def ridge_classes(support: Rows, labels: Labels, queries: Queries) -> Classes:
    """Returns the classes of queries by ridge regression to one-hot labels, in closed form.

    The strength is the one of `RIDGES` with the smallest leave-one-out error on the support, so
    that no query touches the choice.

    Args:
        support: features of the labeled examples.
        labels: their classes, from 0 on.
        queries: features of other examples.

    Returns:
        A class for each query.
    """
    classes = np.unique(labels)
    center = support.astype(np.float64).mean(axis=0)
    x = support - center
    truth = (labels[:, None] == classes).astype(np.float64)
    mean = truth.mean(axis=0)
    # With few examples and many values, the Gram matrix of the examples is the small one.
    values, vectors = np.linalg.eigh(x @ x.T)
    rotated = vectors.T @ (truth - mean)
    scale = max(float(values.mean()), 1e-12)
    errors = {
        ridge: _left_out(values, vectors, rotated, truth - mean, ridge * scale) for ridge in RIDGES
    }
    best = min(RIDGES, key=lambda ridge: (errors[ridge], -ridge))
    weights = x.T @ (vectors @ (rotated / (np.maximum(values, 0) + best * scale)[:, None]))
    return classes[((queries - center) @ weights + mean).argmax(axis=1)]


CLASSIFIERS: Mapping[str, Callable[[Rows, Labels, Queries], Classes]] = {
    "nearest_mean": nearest_means,
    "ridge": ridge_classes,
}
"""From features and labels of the support, and features of the queries, to classes."""


def _left_out(
    values: Float[np.ndarray, " examples"],
    vectors: Float[np.ndarray, "examples examples"],
    rotated: Float[np.ndarray, "examples classes"],
    truth: Float[np.ndarray, "examples classes"],
    ridge: float,
) -> float:
    """Returns the mean squared error of each example when it is left out, in closed form."""
    # The mean over the support, which a constant term fits, has a share of 1 / n of its own.
    count = len(truth)
    shares = np.maximum(values, 0) / (np.maximum(values, 0) + ridge)
    fitted = vectors @ (shares[:, None] * rotated)
    leverage = (vectors**2 * shares).sum(axis=1) + 1 / count
    residuals = (truth - fitted) / np.maximum(1 - leverage, 1e-9)[:, None]
    return float((residuals**2).mean())


def _unit(rows: Rows) -> Rows:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
