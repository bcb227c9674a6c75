"""How much the members of an ensemble differ, and what joining them is worth."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from cnnjax import data
from cnnjax.inference.ensemble import Ensemble
from cnnjax.inference.ensemble_figures import (
    MemberFigures,
    SizeFigures,
    member_figures,
    size_figures,
)
from cnnjax.tasks.classification import Classification
from cnnjax.training.errors import ConfigError


@dataclass(frozen=True)
class Diversity:
    """The members of an ensemble, their joined predictions, and how much they differ.

    Attributes:
        members: the figures of each.
        joined: those of the mean of probabilities and of the mean of logits, by name.
        by_size: what 1, 2, … members joined are worth, in the mean over sets of them.
        disagreement: share of images for which two members predict different classes, the mean over
            all pairs.
        both_wrong: share of images that two members get wrong, the mean over all pairs.
        same_mistake: the share of those for which they predict the same wrong class; 0 where none
            is wrong.
        divergence: mean Kullback-Leibler divergence of a member's probabilities from the mean of
            all, in nats: 0 for equal members, and at most the logarithm of their number.
    """

    members: tuple[MemberFigures, ...]
    joined: tuple[MemberFigures, ...]
    by_size: tuple[SizeFigures, ...]
    disagreement: float
    both_wrong: float
    same_mistake: float
    divergence: float

    def __str__(self) -> str:
        rows = [*self.members, *self.joined]
        wide = max(len(row.name) for row in rows)
        lines = [
            f"{row.name:<{wide}}  error {row.error:.2%}  nll {row.nll:.4f}  calibration error "
            f"{row.calibration_error:.2%}"
            for row in rows
        ]
        lines += [
            f"two members disagree on {self.disagreement:.2%} of the images",
            f"both are wrong on {self.both_wrong:.2%}, alike on {self.same_mistake:.2%} of these",
            f"divergence of a member from the mean: {self.divergence:.4f} nats",
            "error by size: " + ", ".join(f"{each.error:.2%}" for each in self.by_size),
        ]
        return "\n".join(lines)


def compare_members(ensemble: Ensemble, batch_size: int = 256) -> Diversity:
    """Evaluates each member of an ensemble of classifiers alone, and their joined predictions.

    Args:
        ensemble: two networks or more; each predicts for the ensemble's views.
        batch_size: images in a batch.

    Raises:
        ConfigError: there is one member alone, or the task is no classification.
    """
    if len(ensemble.members) < 2:
        raise ConfigError("members: there is one alone; give two networks or more to compare")
    if not isinstance(ensemble.task, Classification):
        raise ConfigError(
            f"compare_members: {type(ensemble.task).__name__} has no classes; give classifiers"
        )
    examples: data.Examples = ensemble.examples
    images, labels = examples.column("image"), np.asarray(examples.column("label"))
    predictions = np.stack(
        [
            np.asarray(Ensemble((member,), ensemble.views).predict(images, batch_size))
            for member in ensemble.members
        ]
    )
    names = [member.origin for member in ensemble.members]
    return diversity(predictions, labels, ensemble.task.class_names, names)


def diversity(
    predictions: Float[np.ndarray, "members images classes"],
    labels: Int[np.ndarray, " images"],
    class_names: Sequence[str],
    names: Sequence[str],
) -> Diversity:
    """Returns how much classifiers differ on labeled images, and what joining them is worth.

    Args:
        predictions: log-probabilities of two members or more.
        labels: the true classes.
        class_names: a name for each.
        names: of the members.

    Source: Kuncheva and Whitaker, 2003 ("Measures of diversity in classifier ensembles"), section 2
    (disagreement, double fault).
    """
    task = Classification(tuple(class_names))
    figures = partial(member_figures, labels=labels, class_names=class_names)
    stacked = jnp.asarray(predictions)
    mean, logits = np.asarray(task.combine(stacked)), np.asarray(task.averages["logits"](stacked))
    predicted = predictions.argmax(axis=-1)
    wrong = predicted != labels
    pairs = list(itertools.combinations(range(len(predictions)), 2))
    both = [wrong[i] & wrong[j] for i, j in pairs]
    alike = [both[k] & (predicted[i] == predicted[j]) for k, (i, j) in enumerate(pairs)]
    count = np.sum(both)
    exact = predictions.astype(np.float64)
    probabilities = np.exp(exact)
    # A class of probability 0 adds nothing, though its logarithm is no number.
    with np.errstate(invalid="ignore"):
        terms = np.where(probabilities > 0, probabilities * (exact - mean), 0)
    return Diversity(
        tuple(figures(*each) for each in zip(names, predictions, strict=True)),
        (figures("mean of probabilities", mean), figures("mean of logits", logits)),
        size_figures(predictions, labels, class_names),
        float(np.mean([predicted[i] != predicted[j] for i, j in pairs])),
        float(np.mean(both)),
        float(np.sum(alike) / count) if count else 0.0,
        float(terms.sum(axis=-1).mean()),
    )
