"""A classifier's predictions and figures as text to print, as JSON values and as columns."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from cnnjax.tasks.assessment import CALIBRATION_BINS, Assessment
from cnnjax.tasks.class_tree import HierarchicalError, hierarchical_error
from cnnjax.tasks.values import Answer, Evaluation

_WEAKEST = 3


def class_answer(
    log_probabilities: Float[np.ndarray, " classes"], class_names: Sequence[str], top: int = 3
) -> Answer:
    """Returns the most probable classes of one example with their probabilities, the best first.

    Args:
        log_probabilities: of each class, in nats.
        class_names: a name for each class.
        top: how many classes to name.
    """
    order: list[int] = np.argsort(-log_probabilities, kind="stable")[:top].tolist()
    # In double precision fewer probabilities underflow.
    logs = log_probabilities.astype(np.float64)
    guesses = [(class_names[c], float(np.exp(logs[c]))) for c in order]
    columns: dict[str, Any] = {}
    for number, (name, share) in enumerate(guesses, 1):
        columns |= {f"class_{number}": name, f"probability_{number}": share}
    return Answer(
        ", ".join(f"{class_names[c]} {_percent(logs[c])}" for c in order),
        {"classes": [{"name": name, "probability": share} for name, share in guesses]},
        columns,
    )


def class_evaluation(
    sums: Mapping[str, Any],
    class_names: Sequence[str],
    costs: Int[np.ndarray, "classes classes"] | None = None,
) -> Evaluation:
    """Returns the figures of a whole split.

    Args:
        sums: added-up `assessment_sums`.
        class_names: a name for each class.
        costs: see `ClassTree.costs`; None for no hierarchical error.

    Raises:
        ValueError: no example counted.
    """
    assessment = Assessment.from_sums(sums, class_names)
    lines = [
        ("accuracy", f"{assessment.accuracy:.2%}"),
        ("top-5 error", f"{assessment.top5_error:.2%}"),
        ("NLL", f"{assessment.nll:.4f} nats"),
        ("calibration error", f"{assessment.calibration_error:.2%} ({CALIBRATION_BINS} bins)"),
        ("weakest classes", ", ".join(_weakest(assessment)) or "none: all are right"),
        ("images", f"{assessment.examples:,}"),
    ]
    metrics, details = assessment.metrics(), assessment.as_json()
    if costs is not None:
        tree = hierarchical_error(assessment.counts, costs)
        lines.insert(2, ("hierarchical error", f"{tree.error:.2%} ({mistake_text(tree)})"))
        figures = {"hierarchical_error": tree.error, "mistake_levels": tree.mistake_levels}
        metrics |= figures
        # JSON has no NaN.
        details |= {n: v if math.isfinite(v) else None for n, v in figures.items()}
    if assessment.unanswered:
        lines.append(("not a number", f"{assessment.unanswered:,} images, counted as wrong"))
    return Evaluation(metrics, lines, details)


def mistake_text(tree: HierarchicalError) -> str:
    """Returns how far wrong the mistakes are, in words.

    Args:
        tree: the hierarchical error.
    """
    if math.isnan(tree.mistake_levels):
        return "no mistakes"
    return f"mistakes are {tree.mistake_levels:.2f} of {tree.levels} levels wrong"


def _percent(log_share: float) -> str:
    """Returns a share as text; one that is not zero is not printed as zero."""
    small = -np.inf < log_share < np.log(0.0001)
    return "< 0.01%" if small else f"{np.exp(log_share):.2%}"


def _weakest(assessment: Assessment) -> list[str]:
    """Returns the classes with the lowest shares of right predictions, the worst first."""
    shares = assessment.class_accuracy
    # A class without examples has no share, and cannot be weak.
    order: list[int] = np.argsort(np.nan_to_num(shares, nan=1.0), kind="stable").tolist()
    return [
        f"{assessment.class_names[place]} {shares[place]:.2%}"
        for place in order[:_WEAKEST]
        if shares[place] < 1
    ]
