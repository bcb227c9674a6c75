"""Outcomes against a factor whose levels are numbers, with power laws where they are asked for."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cnnjax.studies.intervals import mean_and_half
from cnnjax.studies.plan import setting_name
from cnnjax.studies.results import Results
from cnnjax.studies.study import Outcome
from cnnjax.transfer.scaling import PowerLaw, fit_power_law

_logger = logging.getLogger(__name__)

DRAWN = 60
"""Points of a fitted curve."""


@dataclass(frozen=True)
class Point:
    """An outcome at one level of the factor.

    Attributes:
        x: the level.
        values: one for each seed.
        mean: of the values.
        half: half of Student's interval of 95 %; None of one value.
    """

    x: float
    values: list[float]
    mean: float
    half: float | None


@dataclass(frozen=True)
class Fit:
    """A power law that was fitted to all points of a line but the last.

    Attributes:
        alpha: see `transfer.PowerLaw`.
        beta: see `transfer.PowerLaw`.
        gamma: see `transfer.PowerLaw`.
        start: where the region of the power law starts.
        end: where it ends; None for nowhere.
        x: levels at which the curve is drawn.
        y: the curve.
        low: lower ends of its band of 95 %.
        high: upper ends of its band.
        held_out: the level of the point that was left out.
        measured: the mean there.
        predicted: the curve there.
        predicted_low: lower end of the band there.
        predicted_high: upper end of the band there.
    """

    alpha: float
    beta: float
    gamma: float
    start: float
    end: float | None
    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]
    held_out: float
    measured: float
    predicted: float
    predicted_low: float
    predicted_high: float


@dataclass(frozen=True)
class Curve:
    """One line: an outcome along the factor, of one setting of the other factors.

    Attributes:
        outcome: its name.
        factor: the factor along which it goes.
        name: labels of the other factors; "" where there are none.
        points: in rising order.
        fit: the power law; None for none.
    """

    outcome: str
    factor: str
    name: str
    points: list[Point]
    fit: Fit | None

    def as_json(self) -> dict[str, Any]:
        """Returns the curve as JSON values."""
        return asdict(self)


def outcome_curves(results: Results) -> list[Curve]:
    """Returns the curves of all outcomes that have any, as far as their runs are finished.

    Args:
        results: what a study has found.
    """
    return [
        _curve(outcome, name, points)
        for outcome in results.study.outcomes
        if outcome.curve
        for name, points in _lines(results, outcome)
    ]


def curve_lines(curves: Sequence[Curve]) -> Iterator[str]:
    """Yields the lines of a table in Markdown of the fitted power laws; none without any.

    Args:
        curves: a study's curves.
    """
    fitted = [(curve, curve.fit) for curve in curves if curve.fit is not None]
    if not fitted:
        return
    yield "Power laws, error = alpha * size ^ beta + gamma, fitted without the largest size"
    yield ""
    yield "| outcome | alpha | beta | gamma | region of the power law | held out | measured | fit |"
    yield "|---|--:|--:|--:|---|--:|--:|--:|"
    for curve, fit in fitted:
        end = "on" if fit.end is None else f"to {fit.end:,.0f}"
        band = f"{fit.predicted:.4g} ({fit.predicted_low:.4g} to {fit.predicted_high:.4g})"
        yield (
            f"| {' '.join(filter(None, [curve.outcome, curve.name]))} | {fit.alpha:.3g} | "
            f"{fit.beta:.3g} | {fit.gamma:.3g} | from {fit.start:,.0f} {end} | "
            f"{fit.held_out:,.0f} | {fit.measured:.4g} | {band} |"
        )


def _lines(results: Results, outcome: Outcome) -> Iterator[tuple[str, list[Point]]]:
    """Yields the name and the points of each line of an outcome."""
    found: dict[str, dict[float, list[float]]] = {}
    for run in results.runs:
        value = results.outcomes.get(run.name, {}).get(outcome.name)
        if isinstance(value, int | float):
            others = {name: label for name, label in run.labels.items() if name != outcome.curve}
            line = found.setdefault(setting_name(others) if others else "", {})
            line.setdefault(float(run.labels[outcome.curve]), []).append(float(value))
    for name, values in found.items():
        yield name, [_point(x, values[x]) for x in sorted(values)]


def _point(x: float, values: list[float]) -> Point:
    mean, half = mean_and_half(values)
    return Point(x, values, mean, half if math.isfinite(half) else None)


def _curve(outcome: Outcome, name: str, points: list[Point]) -> Curve:
    fit = None
    if outcome.guessing:
        try:
            fit = _fit(points, outcome.guessing)
        except ValueError as error:
            # Few runs are finished, or the network has learned nothing yet.
            _logger.warning("%s %s: no power law is fitted: %s", outcome.name, name, error)
    return Curve(outcome.name, outcome.curve, name, points, fit)


def _fit(points: Sequence[Point], guessing: float) -> Fit:
    *fitted, last = points
    sizes = [point.x for point in fitted for _ in point.values]
    errors = [value for point in fitted for value in point.values]
    law = fit_power_law(sizes, errors, guessing=guessing)
    x = np.geomspace(points[0].x, last.x, DRAWN)
    low, high = law.band(x)
    start, end = law.regions
    return Fit(
        law.alpha,
        law.beta,
        law.gamma,
        start,
        end if math.isfinite(end) else None,
        x.tolist(),
        law.error(x).tolist(),
        low.tolist(),
        high.tolist(),
        held_out=last.x,
        measured=last.mean,
        **_predicted(law, last.x),
    )


def _predicted(law: PowerLaw, size: float) -> Mapping[str, float]:
    low, high = law.band([size])
    return {
        "predicted": float(law.error([size])[0]),
        "predicted_low": float(low[0]),
        "predicted_high": float(high[0]),
    }
