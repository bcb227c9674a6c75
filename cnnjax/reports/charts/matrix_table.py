"""A matrix of counts as a table with numbers, or as a picture if there are many names."""

from typing import Any

import numpy as np

from cnnjax.reports.pictures import heat_map
from cnnjax.tasks.sections import Matrix

# A matrix of more names is drawn as a picture.
_TABLE_NAMES = 20


def draw_matrix(matrix: Matrix) -> dict[str, Any]:
    """Returns a matrix as data for the template.

    Args:
        matrix: counts by row and column.

    Returns:
        `names`, the heads; `longest`, the letters of the longest word in them; and `rows` for a
        table, each with a name and its cells, or `picture`, a data URI.
    """
    counts = np.asarray(matrix.counts)
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    names = list(matrix.names)
    longest = max((len(word) for name in names for word in name.split()), default=0)
    drawn: dict[str, Any] = {"names": names, "longest": longest}
    if len(names) > _TABLE_NAMES:
        # The square root makes single counts visible.
        # Cells are enlarged, so that single ones are visible; a large matrix needs no enlarging.
        side = 8 if len(names) <= 100 else 1
        enlarged = np.kron(np.sqrt(shares), np.ones((side, side)))
        drawn["picture"] = heat_map(
            enlarged, low=0, high=1, colors="viridis", max_side=len(enlarged)
        )
        return drawn
    # By the largest mistake: on the scale of the diagonal, mistakes would be invisible.
    largest = max(int((counts - np.diag(np.diag(counts))).max()), 1)
    drawn["rows"] = [
        {
            "name": names[row],
            "cells": [
                {
                    "count": int(counts[row, column]),
                    "equal": row == column,
                    "title": f"{counts[row, column]} of {totals[row]} {matrix.unit}: "
                    f"{matrix.down} {names[row]}, {matrix.across} {names[column]}",
                    "tone": _tone(
                        counts[row, column], shares[row, row] if row == column else None, largest
                    ),
                }
                for column in range(len(names))
            ],
        }
        for row in range(len(names))
    ]
    return drawn


def _tone(count: int, share: float | None, largest: int) -> int:
    """Returns the share of the darkest tone in per cent; single counts stay visible."""
    if count == 0:
        return 0
    if share is not None:
        return round(15 + 80 * float(share))
    return round(30 + 60 * count / largest)
