"""The page's confusion matrix and pictures of single images, as data for the template."""

from typing import Any

import numpy as np
from jaxtyping import Int

from cnnjax.reports.outcome import Outcome
from cnnjax.reports.pictures import heat_map, photo

# More classes than this make a picture instead of a table with numbers.
_TABLE_CLASSES = 20
_SHOWN_IMAGES = 36


def confusion_section(outcome: Outcome) -> dict[str, Any]:
    """The confusion matrix: a table with numbers, or a picture where the classes are many.

    Returns:
      `rows` for a table (each with a name, its cells and its share of right answers), or `picture`,
      a data URI; and `pairs`, the commonest confusions.
    """
    confusion = outcome.confusion()
    totals = confusion.sum(axis=1)
    shares = confusion / np.maximum(totals, 1)[:, None]
    names = list(outcome.class_names)
    section: dict[str, Any] = {
        "names": names,
        "wrong": len(outcome.labels) - outcome.right,
        "pairs": [
            {"truth": names[t], "said": names[p], "images": n, "share": n / totals[t]}
            for t, p, n in outcome.commonest_confusions()
        ],
    }
    if len(names) > _TABLE_CLASSES:
        # The square root lifts single confusions out of the background.
        side = 8 if len(names) <= 100 else 1
        enlarged = np.kron(np.sqrt(shares), np.ones((side, side)))
        section["picture"] = heat_map(
            enlarged, low=0, high=1, colours="viridis", max_side=len(enlarged)
        )
        return section
    largest_error = max(int((confusion - np.diag(np.diag(confusion))).max()), 1)
    section["rows"] = [
        {
            "name": names[t],
            "total": int(totals[t]),
            "right": float(shares[t, t]),
            "cells": [
                {
                    "images": int(confusion[t, p]),
                    "said": names[p],
                    "right": t == p,
                    # Share of the darkest tone, in per cent; single errors are still seen.
                    "tone": _tone(confusion[t, p], shares[t, t] if t == p else None, largest_error),
                }
                for p in range(len(names))
            ],
        }
        for t in range(len(names))
    ]
    return section


def class_section(outcome: Outcome) -> dict[str, Any]:
    """The accuracy of each class, the worst first.

    Returns:
      `rows`, of the worst classes where there are many; and `total`, the number of classes that
      have images.
    """
    assessment = outcome.assessment
    accuracy, totals = assessment.class_accuracy, assessment.class_totals
    present = np.flatnonzero(totals)
    order = present[np.argsort(accuracy[present], kind="stable")]
    return {
        "rows": [
            {
                "name": outcome.class_names[c],
                "accuracy": float(accuracy[c]),
                "right": int(assessment.confusion[c, c]),
                "images": int(totals[c]),
            }
            for c in order[:_TABLE_CLASSES].tolist()
        ],
        "total": len(order),
    }


def _tone(images: int, share: float | None, largest_error: int) -> int:
    if images == 0:
        return 0
    if share is not None:
        return round(15 + 80 * float(share))
    return round(30 + 60 * images / largest_error)


def pictured_images(
    outcome: Outcome, images: Any, chosen: Int[np.ndarray, "chosen"]
) -> list[dict[str, Any]]:
    """Cards of images: the picture, the truth, and what the network said, with probabilities.

    Args:
      outcome: the predictions.
      images: the raw test images, uint8 [images, height, width, channels]; only those that are
        shown are indexed.
      chosen: indices of the images to show; the first 36 of them are shown.
    """
    names = outcome.class_names
    shown = [int(index) for index in chosen[:_SHOWN_IMAGES]]
    return [
        {
            "picture": photo(images[index], max_side=96),
            "index": index,
            "truth": names[int(outcome.labels[index])],
            "guesses": [
                {"name": names[c], "probability": p, "right": c == outcome.labels[index]}
                for c, p in outcome.top(index)
            ],
        }
        for index in shown
    ]
