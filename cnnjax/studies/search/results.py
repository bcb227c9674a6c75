"""What a search has found: its trials, its choice, and the scores on the test split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cnnjax.studies.folder import StudyFolder
from cnnjax.studies.search.choice import Choice, plan_retraining, read_choice
from cnnjax.studies.search.costs import TrialCosts
from cnnjax.studies.search.search import Search
from cnnjax.studies.search.trials import Trial, Trials, run_of
from cnnjax.tasks.values import Score


@dataclass(frozen=True)
class SearchResults:
    """What a search has found so far.

    Attributes:
        search: the search.
        score: the metric that chooses, and its direction.
        trials: all of its trials.
        failures: why runs failed, by name, those of the retraining included.
        choice: the best setting; None where it is not chosen yet.
        retrained: names of the runs that train it again.
        tested: metrics on the test split of each of those that is finished, by name.
        spent: multiply-adds of one image forward times images, of the trials.
        planned: the same, if every trial had been trained in full.
    """

    search: Search
    score: Score
    trials: Sequence[Trial]
    failures: Mapping[str, str]
    choice: Choice | None
    retrained: Sequence[str]
    tested: Mapping[str, Mapping[str, float]]
    spent: float
    planned: float

    @property
    def left(self) -> list[str]:
        """Names of the runs that have neither ended nor failed."""
        trials = [trial.name for trial in self.trials if trial.state is None]
        again = [name for name in self.retrained if name not in self.tested]
        return [name for name in (*trials, *again) if name not in self.failures]


def collect_search(
    search: Search, score: Score, folder: StudyFolder, costs: TrialCosts
) -> SearchResults:
    """Returns the results of a search, from its folder.

    Args:
        search: the search.
        score: the metric and its direction.
        folder: its folder.
        costs: counts what trials cost.
    """
    trials = Trials(search, folder.workdir, score.higher_is_better).all()
    choice = read_choice(folder.workdir)
    retrained = [] if choice is None else [run.name for run in plan_retraining(search, choice)]
    tested = {name: found for name in retrained if (found := folder.outcomes(name)) is not None}
    names = [*(trial.name for trial in trials if trial.state is None), *retrained]
    failures = {name: folder.failure(name) for name in names if name not in tested}
    base = costs.of_base(search)
    full = [
        costs.of_trial(run_of(search, trial.number, trial.changes), base).total for trial in trials
    ]
    shares = [_share(search, trial) for trial in trials]
    return SearchResults(
        search=search,
        score=score,
        trials=trials,
        failures={name: why for name, why in failures.items() if why is not None},
        choice=choice,
        retrained=retrained,
        tested={
            name: {key: float(value) for key, value in found.items() if isinstance(value, float)}
            for name, found in tested.items()
        },
        spent=sum(cost * share for cost, share in zip(full, shares, strict=True)),
        planned=float(sum(full)),
    )


def _share(search: Search, trial: Trial) -> float:
    """Returns how much of a trial was trained, as far as it is known."""
    if trial.state is not None:
        return trial.share
    epochs = trial.changes.get("epochs", search.config.epochs)
    return max(trial.course, default=0) / epochs
