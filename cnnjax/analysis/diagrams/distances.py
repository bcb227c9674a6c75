"""Places along rows that keep neighbors apart and wires as straight as they can be."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from cnnjax.extras import installed_with

Apart: TypeAlias = tuple[int, int, float]
"""Two neighbors in a row, and the least distance of their centers."""

Segment: TypeAlias = tuple[int, int, float, float, float]
"""Two vertices, the weight of a wire between them, and where it starts and ends at these."""

Pull: TypeAlias = tuple[int, float, float]
"""A vertex, a weight, and the place that it is drawn to."""


def least_squares(
    count: int, apart: Sequence[Apart], segments: Sequence[Segment], pulls: Sequence[Pull]
) -> np.ndarray:
    """Returns centers with the least weighted sum of squares: branches are spread evenly.

    Args:
        count: the number of vertices.
        apart: the distances to keep, from left to right in each row.
        segments: the wires.
        pulls: the places that vertices are drawn to.

    Raises:
        MissingPackage: scipy is not installed.
    """
    with installed_with("report"):
        from scipy.optimize import lsq_linear

    # A center is that of its neighbor, the distance to keep, and more space, which is at least 0.
    columns, offsets, lower = np.eye(count), np.zeros(count), np.full(count, -np.inf)
    for left, right, distance in apart:
        columns[right] += columns[left]
        offsets[right] = offsets[left] + distance
        lower[right] = 0.0
    rows, targets = [], []
    for first, second, weight, start, end in segments:
        rows.append(weight * (columns[first] - columns[second]))
        targets.append(weight * (offsets[second] + end - offsets[first] - start))
    for vertex, weight, place in pulls:
        rows.append(weight * columns[vertex])
        targets.append(weight * (place - offsets[vertex]))
    solved = lsq_linear(np.array(rows), np.array(targets), (lower, np.inf), "bvls")
    return columns @ solved.x + offsets


def least_distances(
    count: int, apart: Sequence[Apart], segments: Sequence[Segment], pulls: Sequence[Pull]
) -> np.ndarray:
    """Returns centers with the least weighted sum of distances: a program for many vertices.

    Args:
        count: the number of vertices.
        apart: as in `least_squares`.
        segments: as in `least_squares`.
        pulls: as in `least_squares`.

    Raises:
        MissingPackage: scipy is not installed.

    Source: Gansner et al., 1993, section 4.2.
    """
    with installed_with("report"):
        from scipy.optimize import linprog
        from scipy.sparse import coo_array

    # Variables are the centers, and then for each term its absolute value.
    terms = [({f: 1.0, s: -1.0}, end - start, w) for f, s, w, start, end in segments]
    terms += [({vertex: 1.0}, place, weight) for vertex, weight, place in pulls]
    entries, limits = [], []

    def at_most(coefficients: dict[int, float], limit: float) -> None:
        entries.extend((len(limits), key, value) for key, value in coefficients.items())
        limits.append(limit)

    for left, right, distance in apart:
        at_most({left: 1.0, right: -1.0}, -distance)
    for number, (coefficients, target, _) in enumerate(terms):
        for sign in (1.0, -1.0):
            signed = {key: sign * value for key, value in coefficients.items()}
            at_most({**signed, count + number: -1.0}, sign * target)
    lines, columns, values = zip(*entries, strict=True)
    matrix = coo_array((values, (lines, columns)), (len(limits), count + len(terms)))
    costs = [0.0] * count + [weight for *_, weight in terms]
    bounds = [(None, None)] * count + [(0, None)] * len(terms)
    return linprog(costs, matrix.tocsr(), limits, bounds=bounds, method="highs").x[:count]
