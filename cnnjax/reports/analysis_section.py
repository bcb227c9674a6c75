"""All that `cnnjax.analysis` has to say of one trained network, as data for the template."""

import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnjax.analysis.cost.summary import summarize
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

_logger = logging.getLogger(__name__)


def analyse(loaded: Any, images: Any, outcome: Outcome) -> dict[str, Any]:
    """What the network costs, what it looks at and how it behaves; each part is logged.

    Args:
      loaded: the trained network, as `cnnjax.training.load_run` returns it.
      images: the test images as they are stored; those that are looked at are indexed.
      outcome: the network's predictions on them.

    Returns:
      Sections by name; those that do not apply to the network are None or empty.
    """
    total = len(outcome.labels)
    # Evenly spaced, so that a sorted test set shows all of its classes.
    indices = np.unique(np.linspace(0, total - 1, min(total, _IMAGES)).round().astype(int))
    images, labels = np.asarray(images[indices]), np.asarray(outcome.labels)[indices]
    inputs = np.asarray(loaded.preprocess(images))
    model, variables = loaded.model, loaded.variables
    right = outcome.predicted[indices] == labels
    summary = _told(
        "what the layers cost",
        lambda: summarize(model, inputs.shape[1:], variables=variables),
    )
    products = summary.multiply_adds
    sections: dict[str, Callable[[], Any]] = {
        "looking": lambda: looking_section(
            model, variables, inputs, images, indices, outcome, summary
        ),
        "invariance": lambda: invariance_section(model, variables, inputs, labels, products),
        "health": lambda: health_section(model, variables, inputs, labels),
        "embedding": lambda: embedding_section(model, variables, inputs, images, right),
    }
    told = {
        "looking": "what the network looks at",
        "invariance": "whether the answer stays",
        "health": "signals through the layers",
        "embedding": "like beside like",
    }
    return {
        "cost": cost_section(summary),
        **{name: _told(told[name], make) for name, make in sections.items()},
        "images": len(images),
    }


def _told(what: str, make: Callable[[], Any]) -> Any:
    """Says what is made, makes it, and says how long it took."""
    _logger.info("analysis: %s ...", what)
    begun = time.perf_counter()
    made = make()
    _logger.info("analysis: %s: %.0f s", what, time.perf_counter() - begun)
    return made
