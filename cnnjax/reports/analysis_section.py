"""Everything that `cnnjax.analysis` measures of one trained network, as data for the template."""

import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnjax.analysis.cost.summarize import summarize
from cnnjax.reports.behavior_section import (
    cost_section,
    embedding_section,
    invariance_section,
)
from cnnjax.reports.chosen_classes import chosen_classes
from cnnjax.reports.looking_section import looking_section
from cnnjax.reports.signals_section import health_section
from cnnjax.tasks.sections import Evaluated

# Enough images for curves precise to a few per cent, few enough for a minute.
_IMAGES = 360

_logger = logging.getLogger(__name__)


def analyze(network: Any, evaluated: Evaluated) -> dict[str, Any]:
    """Returns what the network costs, what it looks at and how it behaves; each part is logged.

    Args:
        network: the trained network, see `cnnjax.reports.render`.
        evaluated: the evaluated examples and the predictions on them; only the images that are used
            are indexed.

    Returns:
        Sections by name; those that do not apply to the network or its task are None or empty.
    """
    total = len(evaluated)
    # Evenly spaced, so that a sorted test set shows all of its classes.
    indices = np.unique(np.linspace(0, total - 1, min(total, _IMAGES)).round().astype(int))
    # Indexed once, because images of a stream are decoded each time.
    images = np.asarray(evaluated.images[indices])
    inputs = np.asarray(network.inputs(images))
    model, variables = network.model, network.variables
    classes = chosen_classes(network.task, evaluated, indices)
    labels = None if classes is None else classes.labels
    parts = {name: np.asarray(part)[indices] for name, part in evaluated.parts.items()}
    state = getattr(network, "task_state", ())
    summary = _logged(
        "what the layers cost",
        lambda: summarize(model, inputs.shape[1:], variables=variables),
    )
    products = summary.multiply_adds
    sections: dict[str, tuple[str, Callable[[], Any]]] = {
        "looking": (
            "what the network looks at",
            lambda: looking_section(model, variables, inputs, images, classes, summary),
        ),
        "health": (
            "signals through the layers",
            lambda: health_section(model, variables, inputs, network.task, parts, state),
        ),
        "embedding": (
            "similar images close together",
            lambda: embedding_section(
                model, variables, inputs, images, None if classes is None else classes.right
            ),
        ),
    }
    # Accuracies need classes.
    if labels is not None:
        sections["invariance"] = (
            "whether the prediction stays the same",
            lambda: invariance_section(model, variables, inputs, labels, products),
        )
    return {
        "cost": cost_section(summary),
        "invariance": None,
        **{name: _logged(what, make) for name, (what, make) in sections.items()},
        "images": len(images),
        "classes": classes is not None,
        "more_classes": classes is not None and len(classes.class_names) > 10,
    }


def _logged(what: str, make: Callable[[], Any]) -> Any:
    """Logs what is made, makes it, and logs how long it took."""
    _logger.info("analysis: %s ...", what)
    start = time.perf_counter()
    made = make()
    _logger.info("analysis: %s: %.0f s", what, time.perf_counter() - start)
    return made
