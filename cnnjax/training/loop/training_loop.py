"""The steps of one start of a run, and the work between them: writing, saving, stopping."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax

from cnnjax.training.devices.processes import is_first
from cnnjax.training.errors import ConfigError, TrainingStopped
from cnnjax.training.folder.checkpoints import Checkpoints, StateNotFinite
from cnnjax.training.folder.finite import nonfinite_names
from cnnjax.training.loop.evaluation import NothingToEvaluate
from cnnjax.training.loop.gradient import loss_gradient
from cnnjax.training.loop.intervals import Intervals
from cnnjax.training.loop.profiler import Profiler
from cnnjax.training.loop.run_log import RunLog
from cnnjax.training.loop.stopping import StopRequest
from cnnjax.training.loop.trainer import Trainer
from cnnjax.training.run import Run

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """How often a run writes; this does not change what it learns.

    Attributes:
        log_every: steps between two lines of training metrics.
        checkpoint_every: epochs between two checkpoints; the last epoch always has one.
        checkpoint_steps: steps between two checkpoints, inside epochs too; 0 for none of them.
        histograms_every: epochs between two sets of histograms of parameters and gradients in
            TensorBoard; 0 for none.
        keep_checkpoints: how many of the newest checkpoints stay, 2 or more.

    Raises:
        ConfigError: a number is out of its range.
    """

    log_every: int = 10
    checkpoint_every: int = 1
    checkpoint_steps: int = 0
    histograms_every: int = 0
    keep_checkpoints: int = 3

    def __post_init__(self) -> None:
        """Refuses numbers out of range."""
        for name in ("log_every", "checkpoint_every"):
            if (value := getattr(self, name)) < 1:
                raise ConfigError(f"{name}: {value} was given; give 1 or more")
        if self.keep_checkpoints < 2:
            raise ConfigError(
                f"keep_checkpoints: {self.keep_checkpoints} was given; give 2 or more, one to fall "
                "back on"
            )
        for name in ("checkpoint_steps", "histograms_every"):
            if (value := getattr(self, name)) < 0:
                raise ConfigError(f"{name}: {value} was given; give 1 or more, or 0 for none")


@dataclass(kw_only=True)
class TrainingLoop:
    """Trains a run from its current state to its end.

    Attributes:
        run: the run.
        trainer: runs the steps.
        evaluate: from variables and the task's state to metrics; None where nothing is evaluated.
        checkpoints: where the state is saved; None to save nothing.
        log: what is written.
        stop: whether to stop early.
        profiler: traces some steps.
        cadence: how often something is written.
        record: further values of every checkpoint's record: identity and environment.
        metrics: those of the evaluation at the current step; None if there was none.
    """

    run: Run
    trainer: Trainer
    evaluate: Callable[[Mapping[str, Any], Any], dict[str, float]] | None
    checkpoints: Checkpoints | None
    log: RunLog
    stop: StopRequest
    profiler: Profiler
    cadence: Cadence
    record: Mapping[str, Any]
    metrics: dict[str, float] | None
    _intervals: Intervals = field(init=False)
    _saved: int = field(init=False)

    def __post_init__(self) -> None:
        """Starts the intervals at the trainer's step."""
        self._intervals = Intervals(
            self.run.task,
            self.run.first_batch_size,
            self.cadence.log_every,
            lambda: self.trainer.waited_seconds,
        )
        self._saved = self.trainer.step

    def run_to_end(self) -> dict[str, float]:
        """Trains until the last step is done and evaluated.

        Returns:
            The metrics after the last step; empty where nothing is evaluated.

        Raises:
            LossNotFinite: a loss was not finite.
            StateNotFinite: the state was not finite when it was to be saved or evaluated.
            CheckpointError: a checkpoint could not be written.
            TrainingStopped: a signal to stop was received, and the state is saved.
        """
        if self.trainer.step < self.run.total_steps:
            self.log.event("compiled", self.trainer.step, seconds=self.trainer.compile())
        self._intervals.restart_clock()
        while True:
            self._stop_if_requested()
            # A run that resumes at the end of an epoch may have its metrics already.
            if self._at_epoch_end() and self.metrics is None:
                self._end_epoch()
            if self.trainer.step >= self.run.total_steps:
                return self._evaluated() if self.metrics is None else self.metrics
            self._step()

    def _evaluated(self) -> dict[str, float]:
        if self.evaluate is None:
            return {}
        state = self.trainer.state
        try:
            return self.evaluate(state.eval_variables, state.task_state)
        except NothingToEvaluate as error:
            # What is learned does not depend on it.
            _logger.warning("step %d has no metrics: %s", self.trainer.step, error)
            return {}

    def _step(self) -> None:
        step = self.trainer.step + 1
        self.profiler.before(step)
        metrics = self.trainer.advance()
        # The last evaluation was that of another state.
        self.metrics = None
        for interval in self._intervals.add(step, metrics):
            self.log.trained(interval)
        if self.profiler.after(step, metrics):
            self.log.event("profiled", step)
        every = self.cadence.checkpoint_steps
        if every and step % every == 0 and not self._at_epoch_end():
            self._save()

    def _at_epoch_end(self) -> bool:
        return self.trainer.step > 0 and self.trainer.step % self.run.epoch_steps == 0

    def _end_epoch(self) -> None:
        step = self.trainer.step
        # The losses of all steps are written, and known to be finite, before the evaluation.
        self._flush()
        self.metrics = self._evaluated()
        if self.metrics:
            self.log.evaluated(step, self.metrics)
        epoch = step // self.run.epoch_steps
        every = self.cadence.histograms_every
        if every and epoch % every == 0:
            self._histograms()
        # A step that is a multiple of checkpoint_steps and ends an epoch is saved here, after the
        # evaluation.
        inside = self.cadence.checkpoint_steps
        due = epoch % self.cadence.checkpoint_every == 0 or (inside and step % inside == 0)
        if due or step >= self.run.total_steps:
            self._save()
        # The training speed does not include evaluation and saving.
        self._intervals.restart_clock()

    def _flush(self) -> None:
        for interval in self._intervals.flush():
            self.log.trained(interval)

    def _histograms(self) -> None:
        step = self.trainer.step
        state = self.trainer.host_state()
        self.log.histograms(step, "parameters", state.params)
        batch = self.trainer.batch(step)
        self.log.histograms(step, "gradients", loss_gradient(self.run, state, batch))

    def _save(self) -> None:
        """Saves the state once all its steps are done and their losses are finite."""
        step = self.trainer.step
        self._flush()
        state = self.trainer.host_state()
        # Checked in all processes, though only the first one saves: all have to raise.
        if bad := nonfinite_names(state):
            raise StateNotFinite(step, bad)
        self._saved = step
        if self.checkpoints is None:
            return
        epoch, position = divmod(step, self.run.epoch_steps)
        score = self._score()
        if is_first():
            self.checkpoints.save(
                step,
                state,
                {
                    "step": step,
                    "epoch": epoch,
                    "step_in_epoch": position,
                    "split": self.run.split,
                    "metrics": self.metrics,
                    **self.record,
                },
                score,
            )
            self.log.saved(step, self.checkpoints.path(step), score, self.metrics)
        self._intervals.restart_clock()

    def _score(self) -> float | None:
        """Returns how good the state is; the test split never chooses a checkpoint."""
        if not self.metrics or self.run.split != "validation":
            return None
        return self.run.task.score.value(self.metrics)

    def _stop_if_requested(self) -> None:
        step = self.trainer.step
        # Processes exchange requests only where they wait for each other anyway.
        together = step % self.cadence.log_every == 0 or self._at_epoch_end()
        if (jax.process_count() > 1 and not together) or not self.stop.agreed():
            return
        if step >= self.run.total_steps and self.metrics is not None:
            return
        # The state may have been saved at this step already.
        if step > self._saved:
            self._save()
        signal = self.stop.signal or "another process"
        self.log.event("stopped", step, signal=signal, left_out=dict(self.trainer.damaged))
        kept = "leaves nothing to save"
        if step:
            kept = "is saved" if self.checkpoints is not None else "is not kept, without a folder"
        raise TrainingStopped(
            f"stopped by {signal} after step {step} of {self.run.total_steps}, which {kept}; start "
            "the same command again to go on"
        )
