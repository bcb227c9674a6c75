"""The work of one process of a search: its trials, the choice, and the retraining of the best."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnjax import data, recipes
from cnnjax.studies.cost import Cost
from cnnjax.studies.folder import Outcomes, StudyFolder
from cnnjax.studies.measures import Trained
from cnnjax.studies.plan import PlannedRun
from cnnjax.studies.progress import StudyProgress
from cnnjax.studies.search.choice import make_choice, plan_retraining
from cnnjax.studies.search.costs import TrialCosts, score_of
from cnnjax.studies.search.search import Search, UnknownMetric, check_metric
from cnnjax.studies.search.trials import Trial, Trials, plan_trial, run_of, trial_names
from cnnjax.studies.worker import RunWorker, WorkOptions
from cnnjax.tasks.values import Score
from cnnjax.training.callbacks import Callback
from cnnjax.training.errors import TrainingDiverged
from cnnjax.training.loop.evaluation import make_evaluator
from cnnjax.training.run import Run

_logger = logging.getLogger(__name__)


def work_on_search(
    search: Search,
    folder: StudyFolder,
    options: WorkOptions,
    names: Sequence[str] = (),
) -> None:
    """Works on a search until nothing is left, together with any other processes.

    Args:
        search: the search.
        folder: its folder.
        options: how it works.
        names: of the trials to work on alone; empty for all, and for the retraining.

    Raises:
        TrainingStopped: the process received a signal to stop, and has saved its run.
        FolderWriteError: the folder cannot be written any more.
        UnknownMetric: the trials have no metric of the search's name.
    """
    score = score_of(search)
    trials = Trials(search, folder.workdir, score.higher_is_better)
    costs = TrialCosts(options.data_dir)
    chosen = trial_names(search, names) if names else []
    TrialWorker(search, trials, score, folder, options, costs, chosen).work()
    if names:
        return
    choice = make_choice(trials.all(), score, folder.workdir, folder.claims(), options.poll_seconds)
    if choice is not None:
        RetrainWorker(search, plan_retraining(search, choice), folder, options, costs).work()


class Pruned(Exception):
    """A trial ends early: others are better."""

    def __init__(self, epoch: int, value: float, share: float):
        super().__init__(f"ends after epoch {epoch} at {value:.4g}, since others are better")
        self.share = share


class TrialCallback(Callback):
    """Notes the metric after each epoch, and ends the trial where others are better.

    Args:
        trials: the search's.
        number: of the trial.
        metric: its name.
        run: what is trained.
    """

    def __init__(self, trials: Trials, number: int, metric: str, run: Run):
        self._trials, self._number, self._metric, self._run = trials, number, metric, run

    def on_evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Notes the metric.

        Args:
            step: steps done.
            metrics: those of the validation examples.

        Raises:
            Pruned: the trial ends here.
            UnknownMetric: there is no metric of that name.
        """
        check_metric(self._metric, metrics)
        value, epoch = metrics[self._metric], step // self._run.epoch_steps
        goes_on = step < self._run.total_steps
        if self._trials.report(self._number, epoch, value, may_prune=goes_on):
            share = step / self._run.total_steps
            # At once: a process that is killed now must not train it further when it is back.
            self._trials.end(self._number, "pruned", share)
            raise Pruned(epoch, value, share)


class TrialWorker(RunWorker):
    """One process's work on the trials of a search.

    Args:
        search: the search.
        trials: its trials.
        score: the metric and its direction.
        folder: the folder of the search.
        options: how it works.
        costs: counts what trials cost.
        names: of the trials to work on; empty for all.
    """

    def __init__(
        self,
        search: Search,
        trials: Trials,
        score: Score,
        folder: StudyFolder,
        options: WorkOptions,
        costs: TrialCosts,
        names: Sequence[str] = (),
    ):
        self._search, self._trials, self._score = search, trials, score
        self._trial_costs, self._names = costs, names
        self._base_cost = costs.of_base(search)
        self._planned: dict[int, PlannedRun] = {}
        self._costs: dict[str, Cost] = {}
        self._ended: set[str] = set()
        progress = StudyProgress([], folder, self._costs, self._ended.__contains__)
        super().__init__(folder, options, search.cadence, progress)

    def _left(self) -> list[PlannedRun]:
        self._extend()
        trials = [t for t in self._look() if not self._names or t.name in self._names]
        return [
            self._plan(trial)
            for trial in trials
            if trial.state is None and self._folder.failure(trial.name) is None
        ]

    def _look(self) -> list[Trial]:
        """Returns all trials, and takes note of them for the progress."""
        trials = self._trials.all()
        for trial in trials:
            if trial.name not in self._costs:
                self._costs[trial.name] = self._cost(self._plan(trial))
        chosen = [t for t in trials if not self._names or t.name in self._names]
        self._progress.names[:] = [trial.name for trial in chosen]
        self._ended.update(trial.name for trial in trials if trial.state is not None)
        return trials

    def _plan(self, trial: Trial) -> PlannedRun:
        if trial.number not in self._planned:
            self._planned[trial.number] = run_of(self._search, trial.number, trial.changes)
        return self._planned[trial.number]

    def _cost(self, run: PlannedRun) -> Cost:
        return self._trial_costs.of_trial(run, self._base_cost)

    def _extend(self) -> None:
        """Adds the trials that there should be, one by one where their cost is bounded."""
        search = self._search
        while True:
            trials = self._look()
            if search.trials is not None and len(trials) >= search.trials:
                return
            if search.budget is None:
                wanted = search.trials or 0
            elif any(not trial.started for trial in trials) or not self._fits(trials):
                return
            else:
                wanted = len(trials) + 1
            claim = self._claims.acquire("next-trial")
            if claim is None:
                # Another process adds some in this moment.
                time.sleep(min(0.2, self._options.poll_seconds))
                continue
            try:
                # Others may have added some since the look.
                if len(self._trials.all()) == len(trials):
                    self._trials.add(wanted)
            finally:
                claim.release()

    def _fits(self, trials: Sequence[Trial]) -> bool:
        """Returns whether one more trial, trained in full, fits into the budget."""
        budget = self._search.budget
        if budget is None:
            return True
        spent = sum(self._costs[trial.name].total * trial.share for trial in trials)
        following = self._cost(plan_trial(self._search, len(trials)))
        return spent + following.total <= budget

    def _make(self, run: PlannedRun) -> Run:
        self._trials.start(_number(run))
        return super()._make(run)

    def _callbacks(self, run: PlannedRun, made: Run) -> Sequence[Callback]:
        return [TrialCallback(self._trials, _number(run), self._score.metric, made)]

    def _measure(self, run: PlannedRun, trained: Trained) -> Outcomes:
        del run
        check_metric(self._score.metric, trained.result.metrics)
        return {self._score.metric: float(trained.result.metrics[self._score.metric])}

    def _note(self, run: PlannedRun, outcomes: Outcomes, seconds: float) -> None:
        del seconds
        value = float(np.asarray(outcomes[self._score.metric]))
        if math.isfinite(value):
            self._trials.finish(_number(run), value)
        else:
            reason = f"{self._score.metric} is {value} at its end"
            self._trials.end(_number(run), "diverged", 1.0, reason)
        self._look()

    def _is_ended_by(self, run: PlannedRun, error: Exception) -> bool:
        if isinstance(error, UnknownMetric):
            # It is the same in all trials.
            raise error
        if isinstance(error, TrainingDiverged):
            trial = self._trials.all()[_number(run)]
            share = max(trial.course, default=0) / run.config.epochs
            self._trials.end(_number(run), "diverged", share, str(error))
        elif isinstance(error, Pruned):
            share = error.share
        else:
            return False
        self._progress.finished(run.name, 0.0, share)
        self._look()
        _logger.info("%s %s; %s", run.name, error, self._progress.line())
        return True


class RetrainWorker(RunWorker):
    """One process's work on the runs that train the best setting again, and test it once.

    Args:
        search: the search.
        runs: one for each seed.
        folder: the folder of the search.
        options: how it works.
        costs: counts what runs cost.
    """

    def __init__(
        self,
        search: Search,
        runs: Sequence[PlannedRun],
        folder: StudyFolder,
        options: WorkOptions,
        costs: TrialCosts,
    ):
        names = [run.name for run in runs]
        own = {run.name: costs.of(run) for run in runs}
        progress = StudyProgress(names, folder, own, lambda n: folder.outcomes(n) is not None)
        super().__init__(folder, options, search.cadence, progress)
        self._runs = runs
        self._test: Any = None

    def _left(self) -> list[PlannedRun]:
        return [
            run
            for run in self._runs
            if self._folder.outcomes(run.name) is None and self._folder.failure(run.name) is None
        ]

    def _make(self, run: PlannedRun) -> Run:
        made = super()._make(run)
        self._test = self._load_test(run) if made.split == "validation" else made.test
        # The test split is scored once, after the training, and not after every epoch.
        return made.replace(test=None) if made.split == "test" else made

    def _load_test(self, run: PlannedRun) -> data.Examples:
        config, options = run.config, self._options
        section = config.data.model_copy(update={"validation_examples": 0})
        blueprint = recipes.make_blueprint(
            config.model_copy(update={"data": section}), options.data_dir
        )
        return recipes.load_evaluated(blueprint, options.data_dir, options.read)

    def _measure(self, run: PlannedRun, trained: Trained) -> Outcomes:
        del run
        made = trained.run
        evaluate = make_evaluator(made.model, made.task, made.preprocess, self._test)
        return evaluate(trained.result.variables, trained.result.task_state)

    def _note(self, run: PlannedRun, outcomes: Outcomes, seconds: float) -> None:
        self._folder.write_outcomes(run.name, outcomes, seconds)


def _number(run: PlannedRun) -> int:
    return int(run.labels["trial"])
