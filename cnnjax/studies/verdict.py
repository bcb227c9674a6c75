"""The verdict of a study: its rule applied to the outcomes of its runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cnnjax.studies.intervals import Decided, Decision, decide, decide_together
from cnnjax.studies.plan import PlannedRun
from cnnjax.studies.study import Comparison, Study, chooses

Numbers = Mapping[str, Mapping[str, float]]
"""The outcomes that are single numbers, by run and outcome."""


@dataclass(frozen=True)
class DecidedComparison:
    """A comparison with its decision.

    Attributes:
        comparison: the comparison.
        role: "primary", "other" or "control".
        decided: the decision with its interval; None where runs are missing.
        missing: names of the runs that are not finished.
    """

    comparison: Comparison
    role: str
    decided: Decided | None
    missing: Sequence[str] = ()

    @property
    def decision(self) -> Decision:
        """The decision; "undecided" where runs are missing."""
        return "undecided" if self.decided is None else self.decided.decision


@dataclass(frozen=True)
class Verdict:
    """The answer of a study.

    Attributes:
        decision: on the claim.
        reason: why, in a sentence.
        comparisons: all comparisons, the primary one first.
    """

    decision: Decision
    reason: str
    comparisons: Sequence[DecidedComparison]


def make_verdict(study: Study, runs: Sequence[PlannedRun], outcomes: Numbers) -> Verdict:
    """Returns the verdict of a study.

    A comparison whose runs are not all finished is undecided: a seed that is left out could be the
    one that fails because of what is compared.

    Args:
        study: the study.
        runs: all of its runs.
        outcomes: what was measured of the finished ones.
    """
    rule = study.rule
    primary = _decide_alone(rule.primary, "primary", runs, outcomes)
    others = _decide_together(rule.others, runs, outcomes)
    control = None
    if rule.control is not None:
        control = _decide_alone(rule.control, "control", runs, outcomes)
    comparisons = [primary, *others, *([] if control is None else [control])]
    if control is not None and control.decision == "supported":
        return Verdict(
            "undecided", "the runs support the control, which is known to be false", comparisons
        )
    if primary.missing:
        count = len(primary.missing)
        runs_are = "run is" if count == 1 else "runs are"
        reason = f"{count} {runs_are} missing of the primary comparison"
    else:
        reason = _REASONS[primary.decision]
    return Verdict(primary.decision, reason, comparisons)


_REASONS: dict[Decision, str] = {
    "supported": "the whole interval of the primary comparison lies above the effect size",
    "not supported": "the whole interval of the primary comparison lies below the effect size",
    "undecided": "the interval of the primary comparison holds the effect size",
}


def differences(
    comparison: Comparison, runs: Sequence[PlannedRun], outcomes: Numbers
) -> tuple[list[float], list[str]]:
    """Returns the difference of each seed, and the names of the runs that it would still need.

    Args:
        comparison: which runs are compared.
        runs: all runs of the study.
        outcomes: what was measured of the finished ones.
    """
    sides: list[dict[int, list[float]]] = []
    missing = []
    for labels in (comparison.more, comparison.less):
        by_seed: dict[int, list[float]] = {}
        for run in runs:
            if not chooses(labels, run.labels):
                continue
            value = outcomes.get(run.name, {}).get(comparison.outcome)
            if value is None:
                missing.append(run.name)
            else:
                by_seed.setdefault(run.seed, []).append(value)
        sides.append(by_seed)
    more, less = sides
    seeds = [seed for seed in more if seed in less]
    means = [_mean(more[seed]) - _mean(less[seed]) for seed in seeds]
    return means, missing


def _decide_alone(
    comparison: Comparison, role: str, runs: Sequence[PlannedRun], outcomes: Numbers
) -> DecidedComparison:
    values, missing = differences(comparison, runs, outcomes)
    decided = None if missing else decide(values, comparison.at_least)
    return DecidedComparison(comparison, role, decided, missing)


def _decide_together(
    comparisons: Sequence[Comparison], runs: Sequence[PlannedRun], outcomes: Numbers
) -> list[DecidedComparison]:
    found = [differences(comparison, runs, outcomes) for comparison in comparisons]
    if any(missing for _, missing in found):
        # Holm's levels depend on all of them.
        return [
            DecidedComparison(comparison, "other", None, missing or ["those of another comparison"])
            for comparison, (_, missing) in zip(comparisons, found, strict=True)
        ]
    pairs = [
        (values, comparison.at_least)
        for comparison, (values, _) in zip(comparisons, found, strict=True)
    ]
    decided = decide_together(pairs)
    return [DecidedComparison(c, "other", d) for c, d in zip(comparisons, decided, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
