"""The training state on the devices, and the compiled step that moves it."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import data, nn
from cnnjax.tasks.base import Batch, Sums
from cnnjax.training.devices.placement import Placement
from cnnjax.training.loop.batches import Batches
from cnnjax.training.run import Run
from cnnjax.training.step.rate import current_rate
from cnnjax.training.step.state import TrainState
from cnnjax.training.step.step import train_step, unless_empty

MANY_STEPS = 100
"""Steps of a run from which on a faster program is worth being compiled at each start."""


class StepMetrics(NamedTuple):
    """The metrics of a step; the device may still be computing them.

    Attributes:
        loss: the batch's loss before the update.
        sums: the task's metric sums of the batch.
        learning_rate: that of the step; None where the run has no schedule.
        counted: examples of the first stream that count; 0 where none of them could be read.
    """

    loss: Float[Array, ""]
    sums: Sums
    learning_rate: Float[Array, ""] | None
    counted: Float[Array, ""]


class Trainer:
    """Moves a state through the steps of a run.

    The examples of a step, and their augmentation, depend on the seed and the step's number alone,
    so that a resumed run trains on the same batches.

    Args:
        run: the run.
        state: the state to start from, in one piece; its buffers must not be used again.
        placement: how the steps are spread over devices.
        read: how examples that are not in memory are read.

    Attributes:
        state: the state as it is placed; `host_state` gives it in one piece.
        step: the number of steps done.
        compile_seconds: how long the step took to compile; 0 before that.
    """

    def __init__(
        self,
        run: Run,
        state: TrainState,
        placement: Placement,
        read: data.ReadOptions | None = None,
    ):
        self._run = run
        self._placement = placement
        self._batches = Batches(run, placement, read or data.ReadOptions())
        self._shapes = jax.eval_shape(lambda: state.variables)
        self._steps: dict[int, Callable[..., tuple[TrainState, StepMetrics]]] = {}
        self.step = int(state.step)
        self.state = placement.place(state)
        self.compile_seconds = 0.0

    def _compiled(self) -> Callable[..., tuple[TrainState, StepMetrics]]:
        """Returns the next step, compiled when it is first needed: a finished run never needs it.

        One program is compiled for all epochs in which the same parameters are trained.
        """
        phase = self._run.phase(self.step)
        if phase not in self._steps:
            given = self._batches.arguments(self.step)
            start = time.perf_counter()
            advance = self._advance(phase)
            self._steps[phase] = self._placement.compile_step(
                advance, self.state, given, often=self._run.total_steps >= MANY_STEPS
            )
            self.compile_seconds += time.perf_counter() - start
        return self._steps[phase]

    def compile(self) -> float:
        """Compiles the next step, unless it is compiled; returns the seconds of all compilation."""
        self._compiled()
        return self.compile_seconds

    def advance(self) -> StepMetrics:
        """Runs the next step and returns its metrics."""
        compiled = self._compiled()
        self.state, metrics = compiled(self.state, self._batches.arguments(self.step))
        self.step += 1
        return metrics

    def batch(self, step: int) -> Batch:
        """Returns the whole batch of a step, on one device.

        Args:
            step: number of steps done before that step.
        """
        stored = jax.tree.map(jnp.asarray, self._batches.host_batch(step))
        return self._run.make_batch(stored, step)

    def host_state(self) -> TrainState:
        """Returns the state in the host's memory, once the devices have done all steps.

        All of the run's processes must call it.
        """
        return self._placement.fetch(self.state)

    def restart(self, state: TrainState) -> None:
        """Continues from another state of the same run.

        Args:
            state: the state, in one piece.
        """
        self.step = int(state.step)
        self.state = self._placement.place(state)

    @property
    def waited_seconds(self) -> float:
        """How long the steps waited for their examples, in all; 0 where those are on the device."""
        return self._batches.waited_seconds

    @property
    def damaged(self) -> Mapping[str, str]:
        """Names of training examples that could not be read, with what is wrong with them."""
        return self._batches.damaged

    def close(self) -> None:
        """Stops reading ahead of the steps."""
        self._batches.close()

    def _advance(self, epoch: int) -> Callable[..., tuple[TrainState, StepMetrics]]:
        """Returns the step of the epochs that train what this one trains, as a function."""
        optimizer = self._run.make_optimizer(self._shapes["params"], epoch)
        frozen = self._run.frozen_norms(self._shapes, epoch)

        def advance(state: TrainState, given: Any) -> tuple[TrainState, StepMetrics]:
            return self._advanced(state, given, optimizer, frozen)

        return advance

    def _advanced(
        self, state: TrainState, given: Any, optimizer: Any, frozen: Sequence[str]
    ) -> tuple[TrainState, StepMetrics]:
        run, axis_name = self._run, self._placement.axis_name
        stored = self._batches.stored(state.step, given)
        batch = run.make_batch(stored, state.step, axis_name)
        # Batch norm sees one part of a batch at a time.
        examples = run.first_batch_size // run.accumulate
        statistics = self._placement.batch_statistics(run.batch_norm, examples)
        with statistics, nn.batch_statistics(frozen=frozen):
            after, result = train_step(
                state,
                batch,
                run.keys["dropout"],
                model=run.model,
                task=run.task,
                optimizer=optimizer,
                options=run.options,
                axis_name=axis_name,
            )
        if self._batches.may_be_empty:
            weights = [stream["weight"] for stream in stored.values()]
            after = unless_empty(state, after, weights, axis_name)
        rate = None
        if run.schedule is not None:
            # Computed on the device, since it may depend on the losses.
            rate = current_rate(run.schedule, state.step, after.opt_state)
        counted = batch["weight"].sum()
        if axis_name is not None:
            counted = jax.lax.psum(counted, axis_name)
        return after, StepMetrics(result.loss, result.sums, rate, counted)
