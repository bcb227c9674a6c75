"""All that `cnnjax.analysis` has to say of one trained network, as data for the template."""

from typing import Any

import numpy as np

from cnnjax.analysis.summary import summarize
from cnnjax.reports.behaviour_section import (
    cost_section,
    embedding_section,
    health_section,
    invariance_section,
)
from cnnjax.reports.looking_section import looking_section
from cnnjax.reports.outcome import Outcome

# Enough images for curves of a per cent, few enough for a minute.
_IMAGES = 360


def analyse(loaded: Any, outcome: Outcome) -> dict[str, Any]:
    """What the network costs, what it looks at and how it behaves.

    Args:
      loaded: the trained network and the test set, as `cnnjax.training.load_run` returns them.
      outcome: its predictions on the test set.

    Returns:
      Sections by name; those that do not apply to the network are None or empty.
    """
    total = len(outcome.labels)
    # Evenly spaced, so that a sorted test set shows all of its classes.
    indices = np.unique(np.linspace(0, total - 1, min(total, _IMAGES)).round().astype(int))
    images = np.asarray(loaded.images)[indices]
    labels = np.asarray(outcome.labels)[indices]
    inputs = np.asarray(loaded.preprocess(images))
    model, variables = loaded.model, loaded.variables
    summary = summarize(model, inputs.shape[1:], variables=variables)
    right = outcome.predicted[indices] == labels
    return {
        "cost": cost_section(summary),
        "looking": looking_section(model, variables, inputs, images, indices, outcome, summary),
        "invariance": invariance_section(model, variables, inputs, labels),
        "health": health_section(model, variables, inputs, labels),
        "embedding": embedding_section(model, variables, inputs, images, right),
        "images": len(images),
    }
