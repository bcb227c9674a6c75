"""The work of one process of a study: it claims runs, trains them, and measures their outcomes."""

import abc
import logging
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnjax import data, models
from cnnjax.studies.claims import RENEW_SECONDS, STALE_SECONDS, Claim
from cnnjax.studies.context import RunContext
from cnnjax.studies.folder import Outcomes, StudyFolder
from cnnjax.studies.making import make_context, make_planned
from cnnjax.studies.measures import Trained
from cnnjax.studies.plan import PlannedRun
from cnnjax.studies.progress import RunProgress, StudyProgress
from cnnjax.studies.renewal import ClaimLost, Renewal, StopWithoutClaim
from cnnjax.studies.sources import WEIGHTS_FILE
from cnnjax.studies.study import Outcome, Study
from cnnjax.training.callbacks import Callback
from cnnjax.training.errors import ConfigError, FolderInUse, FolderWriteError, TrainingStopped
from cnnjax.training.fit import fit
from cnnjax.training.loop.stopping import StopRequest
from cnnjax.training.loop.training_loop import Cadence
from cnnjax.training.result import RunResult
from cnnjax.training.run import Run

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkOptions:
    """How a process works on a study.

    Attributes:
        data_dir: TFDS data folder; None means TFDS's default.
        read: how images are read.
        waits: whether the process waits for runs that others have claimed, and takes those whose
            claims become stale.
        renew_seconds: time between two renewals of a claim.
        stale_seconds: after how many seconds without renewal a claim may be taken.
        poll_seconds: time between two looks at the claims of others.
    """

    data_dir: str | None = None
    read: data.ReadOptions = data.ReadOptions()  # noqa: RUF009 (it cannot be changed)
    waits: bool = True
    renew_seconds: float = RENEW_SECONDS
    stale_seconds: float = STALE_SECONDS
    poll_seconds: float = 5.0


class RunWorker(abc.ABC):
    """One process's work on runs, of which it claims one after the other.

    What it notes of a trained run, and which runs are left, is for its subclasses.

    Args:
        folder: the folder that all processes share, which was started.
        options: how it works.
        cadence: how often each run logs and saves.
        progress: estimates the time left.
    """

    def __init__(
        self, folder: StudyFolder, options: WorkOptions, cadence: Cadence, progress: StudyProgress
    ):
        self._folder, self._options, self._cadence = folder, options, cadence
        self._claims = folder.claims()
        self._claims.stale_seconds = options.stale_seconds
        self._progress = progress

    @abc.abstractmethod
    def _left(self) -> list[PlannedRun]:
        """Returns the runs that have neither finished nor failed."""

    @abc.abstractmethod
    def _measure(self, run: PlannedRun, trained: Trained) -> Outcomes:
        """Returns what is measured of a trained run."""

    @abc.abstractmethod
    def _note(self, run: PlannedRun, outcomes: Outcomes, seconds: float) -> None:
        """Writes what was measured of a run, which is then finished."""

    def _make(self, run: PlannedRun) -> Run:
        """Returns what is trained."""
        return make_planned(run, self._context(run))

    def _context(self, run: PlannedRun) -> RunContext:
        """Returns what the run is made with besides its settings."""
        options = self._options
        return make_context(
            run, data_dir=options.data_dir, read=options.read, workdir=self._folder.workdir
        )

    def _is_ready(self, run: PlannedRun) -> bool:
        """Returns whether the runs that this one starts from are finished."""
        del run
        return True

    def _callbacks(self, run: PlannedRun, made: Run) -> Sequence[Callback]:
        """Returns further callbacks of a run."""
        del run, made
        return ()

    def _is_ended_by(self, run: PlannedRun, error: Exception) -> bool:
        """Returns whether an error is one of a run's ordinary ends, and notes it then."""
        del run, error
        return False

    def work(self) -> None:
        """Trains runs until all are finished or have failed.

        Raises:
            TrainingStopped: the process received a signal to stop, and has saved its run.
            FolderWriteError: the folder cannot be written any more.
        """
        waiting = False
        with StopRequest() as stop:
            while left := self._left():
                worked = [run for run in left if self._is_ready(run) and self._try(run, stop)]
                if worked:
                    waiting = False
                    continue
                left = self._left()
                # Those that are not ready wait for a run that another process trains.
                waits = self._options.waits or not all(map(self._is_ready, left))
                if not left or not waits:
                    return
                if not waiting:
                    names = ", ".join(run.name for run in left)
                    _logger.info("waiting for runs of other processes: %s", names)
                waiting = True
                time.sleep(self._options.poll_seconds)
                self._check(stop)

    def _check(self, stop: StopRequest) -> None:
        if stop.signal is not None:
            raise TrainingStopped(
                f"stopped by {stop.signal}; {self._progress.line()}; start the same command again "
                "to go on"
            )

    def _try(self, run: PlannedRun, stop: StopRequest) -> bool:
        """Returns whether the run could be claimed; then it is finished, has failed or was lost."""
        self._check(stop)
        claim = self._claims.acquire(run.name)
        if claim is None:
            return False
        with Renewal(claim, self._options.renew_seconds) as renewal:
            # Another process may have finished it between the look and the claim.
            if run in self._left():
                self._train_or_name(run, claim, renewal)
        return True

    def _train_or_name(self, run: PlannedRun, claim: Claim, renewal: Renewal) -> None:
        try:
            self._train(run, renewal)
        except (TrainingStopped, FolderWriteError, data.DataFolderError):
            # They concern all runs, and not this one.
            raise
        except ClaimLost:
            _logger.warning("%s was claimed by another process: leaving it", run.name)
        except Exception as error:
            if self._is_ended_by(run, error):
                return
            message = f"{type(error).__name__}: {error}"
            _logger.error("the run %s failed: %s", run.name, message)
            self._folder.write_failure(run.name, message, traceback.format_exc())

    def _train(self, run: PlannedRun, renewal: Renewal) -> None:
        start = time.monotonic()
        made = self._make(run)
        folder = self._folder.run(run.name)
        progress = RunProgress(self._progress, run.name, made.total_steps, folder)
        callbacks = (StopWithoutClaim(renewal), progress, *self._callbacks(run, made))
        result = self._fit(run, made, callbacks)
        trained = Trained(made, result, folder, self._context(run))
        outcomes = self._measure(run, trained)
        renewal.check()
        seconds = time.monotonic() - start
        self._note(run, outcomes, seconds)
        self._progress.finished(run.name, progress.before)
        numbers = [
            f"{name} {value:.4g}" for name, value in outcomes.items() if isinstance(value, float)
        ]
        _logger.info(
            "%s finished in %.0f s: %s; %s",
            *(run.name, seconds, ", ".join(numbers), self._progress.line()),
        )

    def _fit(self, run: PlannedRun, made: Any, callbacks: Sequence[Any]) -> RunResult:
        # A former owner of the claim stops at its next renewal, and works until then.
        patience = time.monotonic() + self._options.stale_seconds
        while True:
            try:
                return fit(
                    made,
                    self._folder.run(run.name),
                    cadence=self._cadence,
                    read=self._options.read,
                    callbacks=callbacks,
                    progress=False,
                )
            except FolderInUse:
                if time.monotonic() > patience:
                    raise
                _logger.info("%s: waiting for the process that has its folder", run.name)
                time.sleep(self._options.poll_seconds)


class Worker(RunWorker):
    """One process's work on the runs of a study.

    Args:
        study: the study.
        runs: the runs to work on.
        folder: the study's folder, which was started.
        options: how it works.
    """

    def __init__(
        self, study: Study, runs: Sequence[PlannedRun], folder: StudyFolder, options: WorkOptions
    ):
        self._study, self._runs = study, runs
        self._costs = {**folder.costs(), **folder.source_costs()}
        self._sources = {run.name for run in runs if run.is_source}
        names = [run.name for run in runs]
        progress = StudyProgress(names, folder, self._costs, self._is_finished)
        super().__init__(folder, options, study.cadence, progress)

    def _is_finished(self, name: str) -> bool:
        if name in self._sources:
            return self._folder.is_source_finished(name)
        return self._folder.is_finished(name, self._study)

    def _left(self) -> list[PlannedRun]:
        return [
            run
            for run in self._runs
            if not self._is_finished(run.name) and self._folder.failure(run.name) is None
        ]

    def _is_ready(self, run: PlannedRun) -> bool:
        for name in self._costs[run.name].sources:
            if self._folder.is_source_finished(name):
                continue
            if self._folder.failure(name) is not None:
                message = f"{name}, from which it starts, failed"
                _logger.error("the run %s cannot be trained: %s", run.name, message)
                self._folder.write_failure(run.name, message, "")
            return False
        return True

    def _context(self, run: PlannedRun) -> RunContext:
        return replace(super()._context(run), is_finished=self._folder.is_source_finished)

    def _measure(self, run: PlannedRun, trained: Trained) -> Outcomes:
        if run.is_source:
            # Before its outcomes, with which it is finished.
            weights = self._folder.run(run.name) / WEIGHTS_FILE
            models.save_pretrained(trained.result.variables, weights)
            return {
                name: float(value)
                for name, value in trained.result.metrics.items()
                if np.isfinite(value)
            }
        return {outcome.name: _measured(outcome, trained) for outcome in self._study.outcomes}

    def _note(self, run: PlannedRun, outcomes: Outcomes, seconds: float) -> None:
        self._folder.write_outcomes(run.name, outcomes, seconds)


def _measured(outcome: Outcome, trained: Trained) -> float | list[float]:
    """Returns the numbers of an outcome as JSON has them."""
    value = np.asarray(outcome.measure(trained), np.float64)
    if value.ndim > 1 or not np.isfinite(value).all():
        raise ConfigError(
            f"study.outcomes.{outcome.name}: it measured {value.tolist()!r:.80}; an outcome is a "
            "finite number, or a list of such numbers"
        )
    return value.tolist()
