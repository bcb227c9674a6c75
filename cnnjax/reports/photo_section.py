"""The page's pictures of photos: what a network predicts of each, and where it looks."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from cnnjax.analysis.looks.attribution import grad_cam, saliency
from cnnjax.reports.looking_section import map_layers
from cnnjax.reports.pictures import heat_map, overlaid, photo
from cnnjax.reports.task_sections import draw_bars
from cnnjax.tasks.sections import Bar

_GUESSES = 5
_SIDE = 224
# Photos in a batch: few enough that what their gradients keep fits into memory.
_TOGETHER = 8


def photo_section(
    network: Any, images: Mapping[str, np.ndarray], inputs: np.ndarray, predictions: Any
) -> dict[str, Any]:
    """Returns what a network predicts of each photo, and where it looks if its task has classes.

    Args:
        network: as in `cnnjax.reports.network_page`.
        images: name to image, uint8 [height, width, channels].
        inputs: the same as network inputs, float32 [images, height, width, channels].
        predictions: the task's predictions for them, [images, ...].

    Returns:
        `cards`, one for each photo; `layer`, whose maps Grad-CAM shows, "" if there are no maps;
        and `classes`, whether any photo has a predicted class.
    """
    rows = [
        jax.tree.map(lambda leaf, row=row: leaf[row], predictions) for row in range(len(images))
    ]
    layers = map_layers(network.model, network.variables, inputs)
    layer = layers[-1] if layers else ""
    cards = [
        {
            "name": name,
            "picture": photo(image, max_side=_SIDE),
            "line": network.task.answer(row, _GUESSES).line,
            "bars": draw_bars(named_bars(network.task, row)),
            "cam": None,
            "saliency": None,
        }
        for (name, image), row in zip(images.items(), rows, strict=True)
    ]
    # Saliency and Grad-CAM are of a class.
    looked_at = [place for place, card in enumerate(cards) if card["bars"]]
    classes = {place: int(np.argmax(rows[place])) for place in looked_at}
    for start in range(0, len(looked_at), _TOGETHER):
        chosen = looked_at[start : start + _TOGETHER]
        _look(network, list(images.values()), inputs, classes, chosen, layer, cards)
    return {"cards": cards, "layer": layer, "classes": bool(looked_at)}


def _look(
    network: Any,
    images: Sequence[np.ndarray],
    inputs: np.ndarray,
    classes: Mapping[int, int],
    chosen: Sequence[int],
    layer: str,
    cards: Sequence[dict[str, Any]],
) -> None:
    """Adds saliency and Grad-CAM of the predicted class to the cards of a few photos."""
    arguments = (
        network.model,
        network.variables,
        inputs[np.array(chosen)],
        np.array([classes[place] for place in chosen]),
    )
    gradients = np.asarray(saliency(*arguments))
    for place, gradient in zip(chosen, gradients, strict=True):
        high = float(gradient.max())
        cards[place]["saliency"] = heat_map(gradient, low=0, high=high, max_side=_SIDE)
    if layer:
        maps = np.asarray(grad_cam(*arguments, layer))
        for place, values in zip(chosen, maps, strict=True):
            cards[place]["cam"] = overlaid(images[place], values, max_side=_SIDE)


def named_bars(task: Any, prediction: Any) -> list[Bar]:
    """Returns the likeliest classes of one example, from the likeliest on.

    Args:
        task: the task, with `class_names` if it names classes.
        prediction: the prediction for one example; log-probabilities if the task names classes.

    Returns:
        Bars of probabilities; none if the task names no classes, or the prediction is not finite.
    """
    names = getattr(task, "class_names", ())
    if not names or np.shape(prediction) != (len(names),) or not np.isfinite(prediction).all():
        return []
    order = np.argsort(-prediction, kind="stable")[:_GUESSES].tolist()
    return [Bar(names[c], float(np.exp(prediction[c])), good=True) for c in order]
