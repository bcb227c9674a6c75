"""A classifier's predictions for labeled images: figures, confusions, and images in an order."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from cnnjax.tasks.assessment import Assessment, assessment_sums


@dataclass(frozen=True)
class ClassPredictions:
    """Log-probabilities of labeled images.

    Every order is by log-probabilities: probabilities in single precision are 0 below 1e-45 and 1
    above 1 - 6e-8, where the order among them is lost.

    Attributes:
        log_probabilities: float32 [images, classes], in nats; an image with a NaN has no
            prediction, and counts as wrong.
        labels: integers [images].
        class_names: one name a class.

    Raises:
        ValueError: the shapes do not fit each other, or there is no image.
    """

    log_probabilities: Float[np.ndarray, "images classes"]
    labels: Int[np.ndarray, " images"]
    class_names: Sequence[str]

    def __post_init__(self) -> None:
        """Refuses predictions, labels and names whose sizes differ."""
        shape, names = self.log_probabilities.shape, len(self.class_names)
        if shape != (len(self.labels), names) or len(self.labels) == 0:
            raise ValueError(
                f"log-probabilities of shape {shape} for {len(self.labels)} labels and {names} "
                "class names; expected (labels, class names), with at least one label"
            )

    @cached_property
    def predicted(self) -> Int[np.ndarray, " images"]:
        """The most probable class of each image; the number of classes where there is none."""
        return np.where(self._numbers, self.log_probabilities.argmax(axis=1), self._classes)

    @cached_property
    def right(self) -> Bool[np.ndarray, " images"]:
        """Whether each image's most probable class is its true one."""
        return self.predicted == self.labels

    @cached_property
    def log_odds(self) -> Float[np.ndarray, " images"]:
        """How certain each prediction is: log p - log(1 - p) of its probability, float64, in nats.

        Minus infinity where an image has no prediction.
        """
        # The other classes' probabilities are added up: 1 - p is 0 where p is nearly 1.
        # The zeros keep NaN out of the arithmetic.
        others = np.where(self._numbers[:, None], self.log_probabilities, 0)
        place = others.argmax(axis=1)[:, None]
        best = np.take_along_axis(others, place, axis=1)[:, 0].astype(np.float64)
        np.put_along_axis(others, place, -np.inf, axis=1)
        rest = np.logaddexp.reduce(others, axis=1, dtype=np.float64)
        return np.where(self._numbers, best - rest, -np.inf)

    @cached_property
    def assessment(self) -> Assessment:
        """All figures of the predictions."""
        # The same sums as in evaluation, so that a report's figures agree with it.
        sums = assessment_sums(
            jnp.asarray(self.log_probabilities, jnp.float32),
            jnp.asarray(self.labels, jnp.int32),
            jnp.ones(len(self.labels), jnp.float32),
        )
        return Assessment.from_sums(jax.device_get(sums), self.class_names)

    @property
    def top5_misses(self) -> int:
        """The number of images whose true class is not among the five most probable ones."""
        return round(self.assessment.top5_error * len(self.labels))

    def mistakes(self) -> Int[np.ndarray, " mistakes"]:
        """Returns the images of which another class was predicted, the most certain first."""
        # A stable sort keeps equal ones in the dataset's order, so that every run shows the same.
        wrong = np.flatnonzero(~self.right)
        return wrong[np.argsort(-self.log_odds[wrong], kind="stable")]

    def narrowest(self) -> Int[np.ndarray, " right"]:
        """Returns the images predicted rightly, the one with the closest second class first."""
        right = np.flatnonzero(self.right)
        if self._classes == 1:  # there is no second class
            return right
        best = np.partition(self.log_probabilities[right].astype(np.float64), -2, axis=1)[:, -2:]
        return right[np.argsort(best[:, 1] - best[:, 0], kind="stable")]

    def most_certain(self) -> int:
        """Returns the right prediction with the most certainty, or the most certain mistake."""
        # The last key, right before wrong, is the first that `lexsort` sorts by.
        order = np.lexsort((-self.log_odds, ~self.right))
        return int(order[0])

    def top(self, image: int, count: int = 3) -> list[tuple[int, float]]:
        """Returns an image's most probable classes as (class, probability), the best first.

        There are none where the image has no prediction.

        Args:
            image: the image's place.
            count: how many classes to return.
        """
        if not self._numbers[image]:
            return []
        values = self.log_probabilities[image].astype(np.float64)
        order = np.argsort(-values, kind="stable")[:count]
        return [(int(c), float(np.exp(values[c]))) for c in order]

    def commonest_confusions(self, count: int = 10) -> list[tuple[int, int, int]]:
        """Returns the commonest confusions first, as (true class, predicted class, images).

        Args:
            count: the most confusions to return.
        """
        confusion = self.assessment.confusion.copy()
        # The diagonal holds the right predictions.
        np.fill_diagonal(confusion, 0)
        order = np.argsort(-confusion, axis=None, kind="stable")[:count]
        pairs = (np.unravel_index(flat, confusion.shape) for flat in order)
        return [(int(t), int(p), int(confusion[t, p])) for t, p in pairs if confusion[t, p]]

    @cached_property
    def _numbers(self) -> Bool[np.ndarray, " images"]:
        # The maximum of a row is NaN if any of its values is.
        return ~np.isnan(self.log_probabilities.max(axis=1))

    @property
    def _classes(self) -> int:
        return self.log_probabilities.shape[1]
