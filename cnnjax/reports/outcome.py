"""What a network said of the test images: figures, confusions and mistakes."""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from cnnjax.tasks.assessment import Assessment, assessment_sums


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Predictions on labelled images.

    Attributes:
      probabilities: float32 [images, classes].
      labels: integers [images].
      class_names: one name a class.
    """

    probabilities: Float[np.ndarray, "images classes"]
    labels: Int[np.ndarray, "images"]
    class_names: Sequence[str]

    def __post_init__(self):
        shape, names = self.probabilities.shape, len(self.class_names)
        if shape != (len(self.labels), names) or len(self.labels) == 0:
            raise ValueError(
                f"probabilities of shape {shape} for {len(self.labels)} labels and {names} class "
                "names; expected (labels, class names), with at least one label"
            )

    @property
    def predicted(self) -> Int[np.ndarray, "images"]:
        """The most probable class of each image."""
        return self.probabilities.argmax(axis=1)

    @functools.cached_property
    def assessment(self) -> Assessment:
        """All figures that are made of the probabilities."""
        with np.errstate(divide="ignore"):  # a probability of 0 is a logarithm of minus infinity
            logarithms = np.log(self.probabilities.astype(np.float32))
        weights = np.ones(len(self.labels), np.float32)
        sums = assessment_sums(
            jnp.asarray(logarithms), jnp.asarray(self.labels, jnp.int32), jnp.asarray(weights)
        )
        return Assessment.from_sums(jax.device_get(sums), self.class_names)

    @property
    def right(self) -> int:
        """The number of images whose most probable class is the true one."""
        return self.assessment.right

    @property
    def top5_misses(self) -> int:
        """The number of images whose true class is not among the five most probable ones."""
        return round(self.assessment.top5_error * len(self.labels))

    def confusion(self) -> Int[np.ndarray, "classes classes"]:
        """How many images of each class (row) were taken for each class (column)."""
        return self.assessment.confusion.copy()

    def mistakes(self) -> Int[np.ndarray, "mistakes"]:
        """The images taken for another class, the most certain mistake first."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        certainty = self.probabilities[wrong].max(axis=1)
        return wrong[np.argsort(-certainty, kind="stable")]

    def narrowest(self) -> Int[np.ndarray, "right"]:
        """The images named rightly, the one with the closest second guess first."""
        right = np.flatnonzero(self.predicted == self.labels)
        ordered = np.sort(self.probabilities[right], axis=1)
        if ordered.shape[1] < 2:
            return right
        return right[np.argsort(ordered[:, -1] - ordered[:, -2], kind="stable")]

    def top(self, image: int, count: int = 3) -> list[tuple[int, float]]:
        """The most probable classes of one image, as (class, probability), the best first."""
        order = np.argsort(-self.probabilities[image], kind="stable")[:count]
        return [(int(c), float(self.probabilities[image, c])) for c in order]

    def commonest_confusions(self, count: int = 10) -> list[tuple[int, int, int]]:
        """The commonest confusions first, as (true class, predicted class, images)."""
        confusion = self.confusion()
        np.fill_diagonal(confusion, 0)
        order = np.argsort(-confusion, axis=None, kind="stable")[:count]
        pairs = (np.unravel_index(flat, confusion.shape) for flat in order)
        return [(int(t), int(p), int(confusion[t, p])) for t, p in pairs if confusion[t, p]]
