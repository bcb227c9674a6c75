"""The classes of the analyzed images, if the task names any: some of the analysis needs them."""

from typing import Any

import numpy as np
from jaxtyping import Int

from cnnjax.tasks.class_predictions import ClassPredictions
from cnnjax.tasks.sections import Evaluated


def chosen_classes(
    task: Any, evaluated: Evaluated, indices: Int[np.ndarray, " chosen"]
) -> ClassPredictions | None:
    """Returns true and predicted classes of some examples; None if each does not have one class.

    Args:
        task: it has `class_names` if it names classes.
        evaluated: the examples, and the predictions on them.
        indices: the places of the examples.
    """
    names = getattr(task, "class_names", None)
    labels = evaluated.parts.get("label")
    predictions = evaluated.predictions
    if (
        not names
        or labels is None
        or np.ndim(labels) != 1
        or not isinstance(predictions, np.ndarray)
    ):
        return None
    # Predictions of pixels, for example, have a shape of their own.
    if predictions.shape[1:] != (len(names),):
        return None
    return ClassPredictions(predictions[indices], np.asarray(labels)[indices], tuple(names))
