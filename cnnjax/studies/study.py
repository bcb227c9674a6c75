"""The description of a study: many runs, and the question that they answer together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cnnjax.nearest import did_you_mean
from cnnjax.studies.context import MakeRun
from cnnjax.studies.factors import Factor, Paired, grid
from cnnjax.studies.measures import Trained
from cnnjax.studies.sources import SourceRun
from cnnjax.training.errors import ConfigError
from cnnjax.training.loop.training_loop import Cadence

Measure = Callable[[Trained], float | Sequence[float]]

_EXAMPLES = {
    "factors": "studies.Factor(...)",
    "outcomes": "studies.Outcome(...)",
    "sources": "studies.SourceRun(...)",
}


@dataclass(frozen=True)
class Outcome:
    """A measurement of every finished run.

    Attributes:
        name: a word, such as "test_error"; a column of the table of results.
        measure: from a trained run to a number, or to a list, such as one number for each layer.
        unit: of the numbers, for tables; "%" shows shares of 1 in per cent.
        help: what it is, in a line.
        curve: name of the factor, with numbers as labels, against which it is drawn, a line for the
            runs of each setting of the others; "" for none.
        guessing: where above 0, the error of guessing: a power law is fitted to each line but its
            last point, which the fit is then compared with; see `transfer.fit_power_law`.
    """

    name: str
    measure: Measure
    unit: str = ""
    help: str = ""
    curve: str = ""
    guessing: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what is no measurement."""
        if not self.name.isidentifier():
            raise ConfigError(
                f"study.outcomes: {self.name!r} cannot be an outcome's name; give a word, such as "
                "'test_error'"
            )
        if not callable(self.measure):
            raise ConfigError(
                f"study.outcomes.{self.name}: {self.measure!r:.60} measures nothing; give a "
                "function of a studies.Trained, such as studies.error"
            )


@dataclass(frozen=True)
class Comparison:
    """The statement that an outcome is larger in some runs than in others.

    Of each seed, the outcome's mean over the runs of `less` is subtracted from that over `more`.

    Attributes:
        statement: the claim in words.
        outcome: the outcome's name.
        more: labels by factor that choose the runs said to have the larger outcome.
        less: labels by factor that choose the others.
        at_least: the effect size: the smallest difference that counts, in the outcome's unit.
    """

    statement: str
    outcome: str
    more: Mapping[str, Any]
    less: Mapping[str, Any]
    at_least: float = 0.0

    def __post_init__(self) -> None:
        """Refuses an effect size that is none."""
        size = self.at_least
        if isinstance(size, bool) or not isinstance(size, int | float) or not 0 <= size < 1e300:
            raise ConfigError(
                f"study.rule: at_least of {self.statement!r} is {size!r}; give a number, 0 or more"
            )


def compare(
    factor: str, outcome: str, more: Any, less: Any, *, at_least: float = 0.0
) -> Comparison:
    """Returns the statement that an outcome is larger under one label of a factor than another.

    Args:
        factor: the factor's name.
        outcome: the outcome's name.
        more: the label of the runs said to have the larger outcome.
        less: the label of the others.
        at_least: the effect size, in the outcome's unit.

    Example:
        >>> from cnnjax import studies
        >>> studies.compare("network", "test_error", "plain", "residual").statement
        'test error, plain over residual'
    """
    statement = f"{outcome.replace('_', ' ')}, {more} over {less}"
    return Comparison(statement, outcome, {factor: more}, {factor: less}, at_least)


@dataclass(frozen=True)
class Rule:
    """How a study is decided, written before its runs.

    Attributes:
        claim: the claim in words.
        primary: the one comparison that decides the claim, at the level of 95 %.
        others: further comparisons, corrected together by Holm's method; they decide nothing.
        control: a comparison known to be false. Where the runs support it, they support nothing.
    """

    claim: str
    primary: Comparison
    others: Sequence[Comparison] = ()
    control: Comparison | None = None

    def comparisons(self) -> list[Comparison]:
        """Returns all comparisons, the primary one first."""
        control = [] if self.control is None else [self.control]
        return [self.primary, *self.others, *control]


class Source(NamedTuple):
    """Where a study was read from.

    Attributes:
        file: the study's file.
        scale: the scale that it was made for; None where it has no scales.
    """

    file: Path
    scale: str | None


@dataclass(frozen=True, kw_only=True)
class Study:
    """Many runs and a question.

    Attributes:
        question: what the study asks.
        base: the configuration that all runs start from; what `recipes.parse_config` takes. With
            `make_run`, nested plain values of any names, which are the study's own.
        factors: what differs between the runs: every combination is run.
        seeds: the seeds that each combination is run with; two or more.
        outcomes: what is measured of each run.
        rule: how the question is decided.
        make_run: from a run's settings, the base with its changes and its seed, and a
            `studies.RunContext` to the run; None where the settings are a configuration.
        sources: runs that are trained once for each seed, before those that start from them.
        cadence: how often each run logs and saves.
        source: the file that the study was read from; None for one made in Python.

    Raises:
        ConfigError: a name is unknown or used twice, or a comparison chooses no runs.
    """

    question: str
    base: Any
    factors: Sequence[Factor | Paired]
    seeds: Sequence[int]
    outcomes: Sequence[Outcome]
    rule: Rule
    make_run: MakeRun | None = None
    sources: Sequence[SourceRun] = ()
    cadence: Cadence = Cadence(log_every=50)  # noqa: RUF009 (it cannot be changed)
    source: Source | None = None

    def __post_init__(self) -> None:
        """Refuses names that are unknown or used twice."""
        self._check_kinds()
        _check_unique("factors", [name for factor in self.factors for name in factor.names])
        _check_unique("outcomes", [outcome.name for outcome in self.outcomes])
        _check_unique("sources", [source.name for source in self.sources])
        for comparison in self.rule.comparisons():
            self._check_comparison(comparison)
        for outcome in self.outcomes:
            self._check_curve(outcome)

    def _check_kinds(self) -> None:
        kinds = {"factors": Factor | Paired, "outcomes": Outcome, "sources": SourceRun}
        for name, kind in kinds.items():
            if wrong := [part for part in getattr(self, name) if not isinstance(part, kind)]:
                raise ConfigError(
                    f"study.{name}: {wrong[0]!r:.60} was given; give {_EXAMPLES[name]}"
                )
        if self.make_run is not None and not callable(self.make_run):
            raise ConfigError(
                f"study.make_run: {self.make_run!r:.60} was given; give a function "
                "(settings, context) -> training.Run"
            )
        if not isinstance(self.rule, Rule):
            raise ConfigError(f"study.rule: {self.rule!r:.60} was given; give studies.Rule(...)")
        if not self.outcomes:
            raise ConfigError("study.outcomes: there are none; give at least one studies.Outcome")
        seeds = list(self.seeds)
        whole = all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in seeds)
        if len(seeds) < 2 or not whole or len(set(seeds)) < len(seeds):
            raise ConfigError(
                f"study.seeds: {seeds} was given; give two different whole numbers or more, since "
                "intervals come from differences between seeds"
            )

    def _check_curve(self, outcome: Outcome) -> None:
        where = f"study.outcomes.{outcome.name}"
        if outcome.guessing and not outcome.curve:
            raise ConfigError(f"{where}: guessing was given without curve; name a factor there")
        if not outcome.curve:
            return
        labels = [row.labels for row in grid(self.factors)]
        _check_known(f"{where}: curve: factor", outcome.curve, {n for row in labels for n in row})
        for row in labels:
            try:
                number = float(row[outcome.curve])
            except (KeyError, ValueError):
                number = float("nan")
            if not 0 < number < float("inf"):
                raise ConfigError(
                    f"{where}: the level {row.get(outcome.curve)!r} of {outcome.curve} is no "
                    "number above 0; a curve is drawn against numbers"
                )

    def _check_comparison(self, comparison: Comparison) -> None:
        where = f"study.rule, {comparison.statement!r}"
        names = [outcome.name for outcome in self.outcomes]
        _check_known(f"{where}: outcome", comparison.outcome, names)
        chosen = []
        for side in ("more", "less"):
            labels = getattr(comparison, side)
            rows = [row for row in grid(self.factors) if chooses(labels, row.labels)]
            for factor, label in labels.items():
                known: dict[str, list[str]] = {}
                for row in grid(self.factors):
                    for name, own in row.labels.items():
                        known.setdefault(name, []).append(own)
                _check_known(f"{where}: {side}: factor", factor, known)
                levels = dict.fromkeys(known[factor])
                _check_known(f"{where}: {side}: level of {factor}", str(label), levels)
            if not rows:
                raise ConfigError(f"{where}: {side}: no run has {dict(labels)}")
            chosen.append([row.labels for row in rows])
        if any(labels in chosen[1] for labels in chosen[0]):
            raise ConfigError(
                f"{where}: more and less choose the same runs; give labels that separate them"
            )


def chooses(labels: Mapping[str, Any], of_run: Mapping[str, str]) -> bool:
    """Returns whether labels of some factors choose a run.

    Args:
        labels: labels by factor; numbers count as text.
        of_run: the run's labels.
    """
    return all(of_run.get(factor) == str(label) for factor, label in labels.items())


def _check_unique(what: str, names: Sequence[str]) -> None:
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"study.{what}: the name {twice[0]!r} is used twice; rename one")


def _check_known(what: str, name: str, known: Iterable[str]) -> None:
    known = list(known)
    if name not in known:
        hint = did_you_mean(name, known, count=1).strip() or f"there are {', '.join(known)}"
        raise ConfigError(f"{what} {name!r} is unknown; {hint}")
