"""The training state on the device, and the compiled step that moves it."""

import time
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, UInt8

from cnnjax import data, ops
from cnnjax.tasks.classification import Batch, Sums
from cnnjax.training.pipeline import take_positions
from cnnjax.training.plan import Plan
from cnnjax.training.schedules import current_rate
from cnnjax.training.state import TrainState
from cnnjax.training.step import train_step


class Trainer:
    """Moves a state through the steps of a run.

    Which examples a step takes and what is done to them depends on the seed and the step's number
    alone, so that a resumed run sees what it would have seen.

    Args:
        plan: the run.
        arrays: the training examples; they are put on the device whole.
        state: where to go on from; its buffers are given to the steps and not to be used again.
    """

    def __init__(self, plan: Plan, arrays: data.ImageArrays, state: TrainState):
        self._plan = plan
        self._images = jnp.asarray(arrays.images)
        self._labels = jnp.asarray(arrays.labels)
        self._keys = plan.keys()
        self._optimizer = plan.optimizer(state.params)
        self.state = state
        self.step = int(state.step)
        self.compile_seconds = 0.0
        self._epoch = -1
        self._epoch_order: Any = None

    @cached_property
    def _compiled(self) -> jax.stages.Compiled:
        """The step, compiled when it is first needed: a finished run does without."""
        begun = time.perf_counter()
        compiled = (
            jax.jit(self._advance, donate_argnums=0, compiler_options=ops.compiler_options())
            .lower(self.state, self._images, self._labels, self._order(0))
            .compile()
        )
        self.compile_seconds = time.perf_counter() - begun
        return compiled

    def compile(self) -> float:
        """Compiles the step, unless it is, and returns how many seconds that took."""
        _ = self._compiled
        return self.compile_seconds

    def advance(self) -> Sums:
        """Does the next step and returns its metric sums, which the device may still be at.

        Among them is `learning_rate`, that of the step.
        """
        compiled = self._compiled
        epoch = self.step // self._plan.epoch_steps
        if epoch != self._epoch:
            self._epoch, self._epoch_order = epoch, self._order(epoch)
        self.state, sums = compiled(self.state, self._images, self._labels, self._epoch_order)
        self.step += 1
        return sums

    def batch(self, step: int) -> Batch:
        """Returns the batch that the step after `step` steps takes."""
        epoch, step_in_epoch = divmod(step, self._plan.epoch_steps)
        return self._batch(
            self._images, self._labels, self._order(epoch), epoch, jnp.int32(step_in_epoch)
        )

    def host_state(self) -> TrainState:
        """Returns the state in the host's memory, once the device has done all steps."""
        return jax.device_get(self.state)

    def restart(self, state: TrainState) -> None:
        """Goes on from another state of the same run."""
        self.state, self.step = state, int(state.step)

    def _order(self, epoch: int) -> Int32[Array, " examples"]:
        return data.epoch_order(self._keys["order"], epoch, len(self._labels))

    def _advance(
        self,
        state: TrainState,
        images: UInt8[Array, "examples height width channels"],
        labels: Int32[Array, " examples"],
        order: Int32[Array, " examples"],
    ) -> tuple[TrainState, Sums]:
        epoch, step_in_epoch = jnp.divmod(state.step, self._plan.epoch_steps)
        after, sums = train_step(
            state,
            self._batch(images, labels, order, epoch, step_in_epoch),
            self._keys["dropout"],
            model=self._plan.model,
            task=self._plan.task,
            optimizer=self._optimizer,
        )
        # Known to the device alone where it depends on the losses.
        rate = current_rate(self._plan.schedule, state.step, after.opt_state)
        return after, {**sums, "learning_rate": rate}

    def _batch(
        self,
        images: UInt8[Array, "examples height width channels"],
        labels: Int32[Array, " examples"],
        order: Int32[Array, " examples"],
        epoch: int | Array,
        step_in_epoch: Array,
    ) -> Batch:
        plan = self._plan
        positions = take_positions(order, step_in_epoch, plan.config.data.batch_size)
        key = jax.random.fold_in(self._keys["augment"], epoch)
        return plan.pipeline.train_batch(images, labels, positions, key)
