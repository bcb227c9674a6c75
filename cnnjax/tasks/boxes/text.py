"""Predicted boxes as text to print, as JSON values and as columns."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from cnnjax.tasks.marked_boxes import MarkedBox, Tone
from cnnjax.tasks.values import Answer

LEAST_SCORE = 0.05
"""Boxes of lower scores are not written."""

SHOWN_FROM = 0.3
"""Boxes of lower scores are not drawn, printed or counted as mistakes."""


def localization_answer(
    log_probabilities: Float[np.ndarray, " classes"],
    box: Float[np.ndarray, "4"],
    class_names: Sequence[str],
    top: int = 3,
) -> Answer:
    """Returns the most probable classes of one image, and its object's box.

    Args:
        log_probabilities: of each class, in nats.
        box: top, left, bottom and right as shares of the image's sides.
        class_names: a name for each class.
        top: how many classes to name.
    """
    order = np.argsort(-log_probabilities, kind="stable")[:top].tolist()
    shares = np.exp(log_probabilities.astype(np.float64))
    guesses = [(class_names[place], float(shares[place])) for place in order]
    columns = {}
    for number, (name, share) in enumerate(guesses, 1):
        columns |= {f"class_{number}": name, f"probability_{number}": share}
    line = ", ".join(f"{name} {share:.1%}" for name, share in guesses)
    first, probability = guesses[0]
    marked = marked_box(box, f"{first} {probability:.0%}")
    values = {
        "classes": [{"name": name, "probability": share} for name, share in guesses],
        "objects": [{"class": first, "score": probability, "box": [float(v) for v in box]}],
    }
    return Answer(line, values, columns, (marked,))


def detection_answer(
    scores: Float[np.ndarray, " detections"],
    labels: Int[np.ndarray, " detections"],
    boxes: Float[np.ndarray, "detections 4"],
    class_names: Sequence[str],
    top: int = 3,
) -> Answer:
    """Returns the boxes of one image, the highest score first.

    Args:
        scores: from 0 to 1, falling.
        labels: classes; below 0 for a slot without a box.
        boxes: top, left, bottom and right as shares of the image's sides.
        class_names: a name for each class.
        top: how many boxes to name in the line and the columns.
    """
    kept = np.flatnonzero((labels >= 0) & (scores >= LEAST_SCORE)).tolist()
    shown = [place for place in kept if scores[place] >= SHOWN_FROM]
    named = [f"{class_names[labels[p]]} {scores[p]:.1%}" for p in shown[:top]]
    more = len(shown) - len(named)
    line = ", ".join(named) + (f" and {more} more" if more else "")
    columns = {"boxes": len(shown)}
    for number, place in enumerate(shown[:top], 1):
        columns |= {
            f"class_{number}": class_names[labels[place]],
            f"score_{number}": float(scores[place]),
        }
    marked = [
        marked_box(boxes[place], f"{class_names[labels[place]]} {scores[place]:.0%}")
        for place in shown
    ]
    objects = [
        {
            "class": class_names[labels[place]],
            "score": float(scores[place]),
            "box": [float(value) for value in boxes[place]],
        }
        for place in kept
    ]
    return Answer(line or "nothing found", {"objects": objects}, columns, tuple(marked))


def marked_box(box: Float[np.ndarray, "4"], text: str, tone: Tone = "right") -> MarkedBox:
    """Returns a box to be drawn.

    Args:
        box: top, left, bottom and right as shares of the picture's sides.
        text: written at it.
        tone: see `MarkedBox`.
    """
    top, left, bottom, right = (float(value) for value in box)
    return MarkedBox(top, left, bottom, right, text, tone)
