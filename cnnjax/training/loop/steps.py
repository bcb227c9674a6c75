"""The steps of one start of a run, and what happens between them: writing, saving, stopping."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax

from cnnjax.recipes.plan import Plan
from cnnjax.training.devices.processes import is_first
from cnnjax.training.errors import ConfigError, TrainingStopped
from cnnjax.training.folder.checkpoints import Checkpoints, StateNotFinite
from cnnjax.training.folder.finite import nonfinite_names
from cnnjax.training.loop.loss_gradient import loss_gradient
from cnnjax.training.loop.meter import Meter
from cnnjax.training.loop.profiler import Profiler
from cnnjax.training.loop.stopping import StopRequest
from cnnjax.training.loop.trainer import Trainer
from cnnjax.training.loop.watching import Watch


@dataclass(frozen=True)
class Cadence:
    """How often a run writes; none of it changes what it learns.

    Attributes:
        log_every: steps between two lines of training metrics.
        checkpoint_every: epochs between two checkpoints; the last epoch always has one.
        checkpoint_steps: steps between two checkpoints, inside epochs too; 0 for none of them.
        histograms_every: epochs between two sets of histograms; 0 for none.
    """

    log_every: int
    checkpoint_every: int
    checkpoint_steps: int
    histograms_every: int

    def __post_init__(self) -> None:
        for name in ("log_every", "checkpoint_every"):
            if (value := getattr(self, name)) < 1:
                raise ConfigError(f"{name}: {value} was given; give 1 or more")
        for name in ("checkpoint_steps", "histograms_every"):
            if (value := getattr(self, name)) < 0:
                raise ConfigError(f"{name}: {value} was given; give 1 or more, or 0 for none")


@dataclass
class Steps:
    """Takes a run from where its state is to its end.

    Attributes:
        plan: the run.
        trainer: does the steps.
        evaluate: from variables to metrics.
        checkpoints: where the state is saved.
        watch: what is told.
        stop: whether to leave early.
        profiler: traces some steps.
        cadence: how often something is written.
        record: what every checkpoint says besides: configuration and environment.
        metrics: of the evaluation after the step that the state is at; None if there was none.
    """

    plan: Plan
    trainer: Trainer
    evaluate: Callable[[dict[str, Any]], dict[str, float]]
    checkpoints: Checkpoints
    watch: Watch
    stop: StopRequest
    profiler: Profiler
    cadence: Cadence
    record: dict[str, Any]
    metrics: dict[str, float] | None
    _meter: Meter = field(init=False)
    _saved: int = field(init=False)

    def __post_init__(self) -> None:
        self._meter = Meter(self.plan, self.cadence.log_every, lambda: self.trainer.waited_seconds)
        self._saved = self.trainer.step

    def run_to_end(self) -> dict[str, float]:
        """Trains until the last step is done and evaluated.

        Returns:
            The metrics after the last step.

        Raises:
            LossNotFinite: a loss was not finite.
            StateNotFinite: the state was not finite when it was to be saved or evaluated.
            CheckpointError: a checkpoint could not be written.
            TrainingStopped: the run was asked to stop, and has saved.
        """
        if self.trainer.step < self.plan.total_steps:
            self.watch.event("compiled", self.trainer.step, seconds=self.trainer.compile())
        self._meter.restart_clock()
        while True:
            self._stop_if_asked()
            if self._at_epoch_end() and self.metrics is None:
                self._end_epoch()
            if self.trainer.step >= self.plan.total_steps:
                return self.metrics or self.evaluate(self.trainer.state.eval_variables)
            self._step()

    def _step(self) -> None:
        step = self.trainer.step + 1
        self.profiler.before(step)
        sums = self.trainer.advance()
        self.metrics = None
        for interval in self._meter.add(step, sums):
            self.watch.trained(interval)
        if self.profiler.after(step, sums):
            self.watch.event("profiled", step)
        every = self.cadence.checkpoint_steps
        if every and step % every == 0 and not self._at_epoch_end():
            self._save()

    def _at_epoch_end(self) -> bool:
        return self.trainer.step > 0 and self.trainer.step % self.plan.epoch_steps == 0

    def _end_epoch(self) -> None:
        step = self.trainer.step
        self._flush()
        self.metrics = self.evaluate(self.trainer.state.eval_variables)
        self.watch.evaluated(step, self.metrics)
        epoch = step // self.plan.epoch_steps
        every = self.cadence.histograms_every
        if every and epoch % every == 0:
            self._histograms()
        inside = self.cadence.checkpoint_steps
        due = epoch % self.cadence.checkpoint_every == 0 or (inside and step % inside == 0)
        if due or step >= self.plan.total_steps:
            self._save()
        self._meter.restart_clock()

    def _flush(self) -> None:
        for interval in self._meter.flush():
            self.watch.trained(interval)

    def _histograms(self) -> None:
        step = self.trainer.step
        state = self.trainer.host_state()
        self.watch.histograms(step, "parameters", state.params)
        batch = self.trainer.batch(step)
        self.watch.histograms(step, "gradients", loss_gradient(self.plan, state, batch))

    def _save(self) -> None:
        """Saves the state, once all its steps are done and their losses known to be finite."""
        step = self.trainer.step
        self._flush()
        epoch, position = divmod(step, self.plan.epoch_steps)
        # The best checkpoint is one that validation examples chose, never the test split.
        choosing = self.metrics is not None and self.plan.eval_split == "validation"
        score = self.metrics["accuracy"] if choosing and self.metrics else None
        state = self.trainer.host_state()
        if bad := nonfinite_names(state):  # all processes are to find it
            raise StateNotFinite(step, bad)
        if is_first():
            self.checkpoints.save(
                step,
                state,
                {
                    "step": step,
                    "epoch": epoch,
                    "step_in_epoch": position,
                    "split": self.plan.eval_split,
                    "metrics": self.metrics,
                    **self.record,
                },
                score,
            )
        self._saved = step
        self.watch.event("saved", step, score=score)
        self._meter.restart_clock()

    def _stop_if_asked(self) -> None:
        step = self.trainer.step
        # Processes agree where they wait for each other anyway.
        together = step % self.cadence.log_every == 0 or self._at_epoch_end()
        if (jax.process_count() > 1 and not together) or not self.stop.agreed():
            return
        if step >= self.plan.total_steps and self.metrics is not None:
            return
        if step > self._saved:
            self._save()
        signal = self.stop.signal or "another process"
        self.watch.event("stopped", step, signal=signal, left_out=dict(self.trainer.damaged))
        raise TrainingStopped(
            f"stopped by {signal} after step {step} of {self.plan.total_steps}, which "
            f"{'is saved' if step else 'leaves nothing to save'}; start the same command again to "
            "go on"
        )
