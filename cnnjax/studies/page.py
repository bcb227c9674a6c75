"""The results of a study as a page in Markdown."""

import math
from collections.abc import Iterator, Sequence

from cnnjax.studies.curves import curve_lines, outcome_curves
from cnnjax.studies.intervals import mean_and_half
from cnnjax.studies.plan import PlannedRun
from cnnjax.studies.results import Results
from cnnjax.studies.study import Outcome
from cnnjax.studies.verdict import DecidedComparison

PLACES = (("first", 0.0), ("quarter", 0.25), ("middle", 0.5), ("three quarters", 0.75), ("last", 1))
"""Of a list of numbers, the places that the page shows."""


def results_page(results: Results) -> str:
    """Returns question, verdict, comparisons and outcomes as Markdown.

    Args:
        results: what a study has found.
    """
    study, verdict = results.study, results.verdict
    parts = [
        f"# {study.question}",
        f"Claim: {study.rule.claim}",
        f"**Verdict: {verdict.decision}**, since {verdict.reason}.",
        *_changed_rules(results),
        "\n".join(_comparisons(results)),
        _HOW,
        "\n".join(_outcomes(results)),
        *("\n".join(lines) for lines in _lists(results)),
        *_curves(results),
        *_sources(results),
        *_missing(results),
        _facts(results),
    ]
    return "\n\n".join(parts)


_HOW = (
    "Differences are paired by seed. Intervals are Student's, at the level given; the other "
    "comparisons are corrected together by Holm's method. d is the mean difference over the "
    "standard deviation of the differences."
)


def _changed_rules(results: Results) -> list[str]:
    late = [rule for rule in results.rules[1:] if rule["finished_runs"]]
    return [
        f"The rule was changed on {rule['since'][:10]}, after {rule['finished_runs']} runs had "
        "finished."
        for rule in late
    ]


def _comparisons(results: Results) -> Iterator[str]:
    yield "| comparison | effect size | difference | interval | level | d | decision |"
    yield "|---|--:|--:|--:|--:|--:|---|"
    for tested in results.verdict.comparisons:
        comparison, decided = tested.comparison, tested.decided
        outcome = _outcome(results, comparison.outcome)
        at_least = _number(comparison.at_least, outcome)
        statement = f"{tested.role}: {comparison.statement}"
        if decided is None:
            yield f"| {statement} | {at_least} | | | | | undecided: {_why(tested)} |"
            continue
        mean, low, high = (
            _number(value, outcome) for value in (decided.mean, decided.low, decided.high)
        )
        yield (
            f"| {statement} | {at_least} | {mean} | {low} to {high} | {1 - decided.level:.3g} | "
            f"{decided.effect:.2f} | {decided.decision} |"
        )


def _why(tested: DecidedComparison) -> str:
    return f"not finished: {_first_names(tested.missing)}"


def _first_names(names: Sequence[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")


def _outcomes(results: Results) -> Iterator[str]:
    """Yields the table of the outcomes that are single numbers: their means over seeds."""
    settings = _settings(results.runs)
    names = [outcome for outcome in results.study.outcomes if not _is_list(results, outcome)]
    headings = [f"{o.name}, {o.unit}" if o.unit not in ("", "%") else o.name for o in names]
    factors = list(results.runs[0].labels)
    yield f"| {' | '.join([*factors, 'seeds', *headings])} |"
    yield f"|{'---|' * len(factors)}{'--:|' * (1 + len(names))}"
    for runs in settings.values():
        cells = list(runs[0].labels.values())
        finished = [run.name for run in runs if run.name in results.outcomes]
        cells.append(f"{len(finished)} of {len(runs)}")
        for outcome in names:
            values = [results.outcomes[name].get(outcome.name) for name in finished]
            known = [float(value) for value in values if value is not None]
            cells.append(_mean(known, outcome))
        yield f"| {' | '.join(cells)} |"


def _lists(results: Results) -> Iterator[list[str]]:
    """Yields a table for each outcome that is a list of numbers, such as one for each layer."""
    factors = list(results.runs[0].labels)
    for outcome in results.study.outcomes:
        if not _is_list(results, outcome):
            continue
        lines = [
            f"{outcome.name}: {outcome.help or 'along the list'}; means over seeds",
            "",
            f"| {' | '.join([*factors, 'length', *(name for name, _ in PLACES)])} |",
            f"|{'---|' * len(factors)}{'--:|' * (1 + len(PLACES))}",
        ]
        for runs in _settings(results.runs).values():
            found = [results.outcomes.get(run.name, {}).get(outcome.name) for run in runs]
            rows = [values for values in found if isinstance(values, list) and values]
            if not rows or len({len(values) for values in rows}) > 1:
                continue
            means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
            shown = [means[round(share * (len(means) - 1))] for _, share in PLACES]
            cells = [*runs[0].labels.values(), str(len(means)), *(f"{v:.3g}" for v in shown)]
            lines.append(f"| {' | '.join(cells)} |")
        yield lines


def _curves(results: Results) -> list[str]:
    lines = list(curve_lines(outcome_curves(results)))
    return ["\n".join(lines)] if lines else []


def _sources(results: Results) -> list[str]:
    """Returns the table of the runs that others start from: their metrics' means over seeds."""
    found = results.source_outcomes
    names = list(dict.fromkeys(name for metrics in found.values() for name in metrics))
    if not results.sources:
        return []
    lines = [
        "Sources, from which runs of the same seed start; means over seeds",
        "",
        f"| {' | '.join(['source', 'seeds', *names])} |",
        f"|---|{'--:|' * (1 + len(names))}",
    ]
    for setting, runs in _settings(results.sources).items():
        finished = [found[run.name] for run in runs if run.name in found]
        cells = [setting.removeprefix("source-"), f"{len(finished)} of {len(runs)}"]
        for name in names:
            values = [metrics[name] for metrics in finished if name in metrics]
            cells.append(f"{sum(values) / len(values):.4g}" if values else "")
        lines.append(f"| {' | '.join(cells)} |")
    return ["\n".join(lines)]


def _missing(results: Results) -> list[str]:
    parts = []
    if results.failures:
        lines = [f"- {name}: {why}" for name, why in results.failures.items()]
        parts.append("\n".join(["Failed runs:", "", *lines]))
    left = [
        run.name
        for run in results.runs
        if run.name not in results.outcomes and run.name not in results.failures
    ]
    if left:
        parts.append(f"Not finished: {_first_names(left)}.")
    return parts


def _facts(results: Results) -> str:
    source = results.study.source
    minutes = sum(results.seconds.values()) / 60
    seeds = ", ".join(map(str, results.study.seeds))
    scale = f"scale {source.scale}, " if source and source.scale else ""
    return (
        f"{len(results.outcomes)} of {len(results.runs)} runs finished; {scale}seeds {seeds}; "
        f"their last starts took {minutes:.1f} minutes in all."
    )


def _settings(planned: Sequence[PlannedRun]) -> dict[str, list[PlannedRun]]:
    settings: dict[str, list[PlannedRun]] = {}
    for run in planned:
        settings.setdefault(run.setting, []).append(run)
    return settings


def _is_list(results: Results, outcome: Outcome) -> bool:
    return any(isinstance(v.get(outcome.name), list) for v in results.outcomes.values())


def _outcome(results: Results, name: str) -> Outcome:
    return next(outcome for outcome in results.study.outcomes if outcome.name == name)


def _mean(values: Sequence[float], outcome: Outcome) -> str:
    if not values:
        return ""
    mean, half = mean_and_half(values)
    shown = _number(mean, outcome)
    return f"{shown} ± {_number(half, outcome)}" if math.isfinite(half) else shown


def _number(value: float, outcome: Outcome) -> str:
    # Shares of 1 in per cent.
    return f"{100 * value:.2f} %" if outcome.unit == "%" else f"{value:.4g}"
