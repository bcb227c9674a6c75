"""The trials of a search, kept in Optuna's journal: a file that several processes append to.

A trial is written whole, with its settings, before it starts. One whose process was killed is still
there, and is taken up by the next process; which one works on it is decided by claims.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cnnjax import recipes
from cnnjax.studies.factors import SEED
from cnnjax.studies.plan import PlannedRun, changed
from cnnjax.studies.search.journal import JOURNAL, open_journal, readable
from cnnjax.studies.search.optuna_package import load_optuna
from cnnjax.studies.search.search import Search
from cnnjax.studies.search.space import decoded, described, distributions, draw
from cnnjax.training.errors import ConfigError

_SHARE, _REASON = "cnnjax.share", "cnnjax.reason"
"""The names of our own entries of a trial."""

Ended = Literal["finished", "pruned", "diverged"]


@dataclass(frozen=True)
class Trial:
    """A trial as the journal has it.

    Attributes:
        number: from 0.
        changes: its settings, by key of the configuration.
        state: "finished", "pruned" or "diverged"; None where it has not ended.
        started: whether a process has started it.
        value: the metric after the last epoch; None where it is not finished.
        course: the metric after each epoch.
        share: how much of it was trained, when it ended early.
        reason: why it diverged.
    """

    number: int
    changes: Mapping[str, Any]
    state: Ended | None
    started: bool
    value: float | None
    course: Mapping[int, float]
    share: float
    reason: str | None

    @property
    def name(self) -> str:
        """The name of its run."""
        return trial_name(self.number)


def trial_name(number: int) -> str:
    """Returns the name of a trial's run, such as "trial-0007".

    Args:
        number: of the trial.
    """
    return f"trial-{number:04d}"


def plan_trial(search: Search, number: int) -> PlannedRun:
    """Returns the run of a trial: the same for the same search and number.

    Args:
        search: the search.
        number: of the trial, from 0.
    """
    changes = decoded(search.space, draw(search.space, search.seed, number))
    return run_of(search, number, changes)


def run_of(search: Search, number: int, changes: Mapping[str, Any]) -> PlannedRun:
    """Returns the run of a trial with known settings.

    Args:
        search: the search.
        number: of the trial.
        changes: its settings, by key.
    """
    base = search.config.model_dump()
    config = recipes.parse_config(changed(base, changes))
    return PlannedRun(trial_name(number), {"trial": f"{number:04d}"}, base[SEED], config)


class Trials:
    """The trials in a search's folder.

    Args:
        search: the search.
        workdir: its folder; the journal is made if there is none.
        higher_is_better: the direction of its metric.

    Raises:
        RunFolderError: the journal is that of another search, is damaged, or cannot be written.
    """

    def __init__(self, search: Search, workdir: Path, higher_is_better: bool):
        self._search, self._path = search, workdir / JOURNAL
        self._study = open_journal(workdir, describe(search), higher_is_better)
        self._storage = self._study._storage
        optuna = load_optuna()
        self._states, self._create_trial = optuna.trial.TrialState, optuna.trial.create_trial
        self._pruner = optuna.pruners.NopPruner()
        if search.pruning is not None:
            self._pruner = optuna.pruners.SuccessiveHalvingPruner(
                min_resource=search.pruning.first, reduction_factor=search.pruning.factor
            )

    def all(self) -> list[Trial]:
        """Returns all trials, those of other processes included."""
        with readable(self._path):
            found = self._study.get_trials(deepcopy=False)[: self._search.trials]
            return [self._trial(frozen) for frozen in found]

    def add(self, count: int) -> None:
        """Adds trials until there are as many; only the holder of a claim may.

        Args:
            count: how many there are then.
        """
        space = self._search.space
        for number in range(len(self.all()), count):
            with readable(self._path):
                self._study.add_trial(
                    self._create_trial(
                        state=self._states.WAITING,
                        params=draw(space, self._search.seed, number),
                        distributions=distributions(space),
                    )
                )

    def start(self, number: int) -> None:
        """Notes that a trial has been started, by this process or by one that is gone.

        Args:
            number: of the trial.
        """
        with readable(self._path):
            frozen = self._frozen(number)
            if frozen.state == self._states.WAITING:
                self._storage.set_trial_state_values(frozen._trial_id, state=self._states.RUNNING)

    def report(self, number: int, epoch: int, value: float, may_prune: bool) -> bool:
        """Notes the metric after an epoch; returns whether the trial ends here.

        Args:
            number: of the trial.
            epoch: epochs done.
            value: the metric.
            may_prune: whether the trial may end early.
        """
        with readable(self._path):
            frozen = self._frozen(number)
            # A run that continues from its checkpoint repeats epochs, with the same values.
            if epoch not in frozen.intermediate_values:
                self._storage.set_trial_intermediate_value(frozen._trial_id, epoch, value)
                frozen = self._frozen(number)
            if not may_prune or epoch != frozen.last_step:
                return False
            return self._pruner.prune(self._study, frozen)

    def finish(self, number: int, value: float) -> None:
        """Notes the metric of a trial that was trained in full.

        Args:
            number: of the trial.
            value: the metric.
        """
        with readable(self._path):
            self._study.tell(number, value, skip_if_finished=True)

    def end(self, number: int, state: Ended, share: float, reason: str | None = None) -> None:
        """Notes that a trial has ended early.

        Args:
            number: of the trial.
            state: how.
            share: how much of it was trained.
            reason: in words.
        """
        kind = self._states.PRUNED if state == "pruned" else self._states.FAIL
        with readable(self._path):
            frozen = self._frozen(number)
            if frozen.state.is_finished():
                return
            self._storage.set_trial_user_attr(frozen._trial_id, _SHARE, share)
            if reason is not None:
                self._storage.set_trial_user_attr(frozen._trial_id, _REASON, reason)
            self._study.tell(number, state=kind, skip_if_finished=True)

    def _frozen(self, number: int) -> Any:
        return self._study.get_trials(deepcopy=False)[number]

    def _trial(self, frozen: Any) -> Trial:
        states: dict[Any, Ended] = {
            self._states.COMPLETE: "finished",
            self._states.PRUNED: "pruned",
            self._states.FAIL: "diverged",
        }
        state = states.get(frozen.state)
        return Trial(
            number=frozen.number,
            changes=decoded(self._search.space, frozen.params),
            state=state,
            started=frozen.state != self._states.WAITING,
            value=frozen.value if state == "finished" else None,
            course=dict(frozen.intermediate_values),
            share=float(frozen.user_attrs.get(_SHARE, 1.0)),
            reason=frozen.user_attrs.get(_REASON),
        )


def describe(search: Search) -> dict[str, Any]:
    """Returns what makes trials comparable, as JSON values; more trials may be added later.

    Args:
        search: the search.
    """
    values = {
        "base": search.config.model_dump(),
        "space": {key: described(value) for key, value in search.space.items()},
        "metric": search.metric,
        "higher_is_better": search.higher_is_better,
        "pruning": None if search.pruning is None else vars(search.pruning),
        "seed": search.seed,
    }
    # As they are read back: lists in the place of tuples.
    return json.loads(json.dumps(values))


def check_journal(search: Search, workdir: Path, higher_is_better: bool) -> None:
    """Refuses a folder with the trials of another search; nothing is written.

    Args:
        search: the search.
        workdir: its folder.
        higher_is_better: the direction of its metric.

    Raises:
        RunFolderError: it holds another search, or its journal is damaged.
    """
    if (workdir / JOURNAL).exists():
        Trials(search, workdir, higher_is_better).all()


def trial_names(search: Search, names: Sequence[str] = ()) -> list[str]:
    """Returns the names of trials; those of all where no names are given.

    Args:
        search: the search.
        names: such as "trial-0007".

    Raises:
        ConfigError: there is no such trial, or how many there are depends on a budget.
    """
    if search.trials is None or search.budget is not None:
        raise ConfigError(
            "search.budget: which trials there are depends on what the others cost; leave --list "
            "and --only out, or give search.trials alone"
        )
    known = [trial_name(number) for number in range(search.trials)]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"--only: the search has no trial {name!r}; there are {known[0]} to {known[-1]}"
            )
    return list(names) or known
