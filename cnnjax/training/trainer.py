"""The training state on the device, and the compiled step that moves it."""

import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, UInt8

from cnnjax import data
from cnnjax.tasks.classification import Batch, Sums
from cnnjax.training.parallel import Placement
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
        arrays: the training examples; they are put on every device whole.
        state: where to go on from, in one piece; its buffers are not to be used again.
        placement: how the steps are spread over devices.

    Attributes:
        state: the state as it is placed; `host_state` gives it in one piece.
        step: the number of steps done.
        compile_seconds: how long the step took to compile; 0 before that.
    """

    def __init__(
        self, plan: Plan, arrays: data.ImageArrays, state: TrainState, placement: Placement
    ):
        self._plan = plan
        self._placement = placement
        self._arrays = arrays
        self._images, self._labels = placement.replicate((arrays.images, arrays.labels))
        self._keys = plan.keys()
        config = plan.config
        self._model = placement.bind(
            plan.model, config.batch_norm, config.data.batch_size // config.optimizer.accumulate
        )
        self._optimizer = plan.optimizer(state.params)
        self.step = int(state.step)
        self.state = placement.place(state)
        self.compile_seconds = 0.0
        self._epoch = -1
        self._epoch_order: Any = None

    @cached_property
    def _compiled(self) -> Callable[..., tuple[TrainState, Sums]]:
        """The step, compiled when it is first needed: a finished run does without."""
        begun = time.perf_counter()
        order = self._placement.replicate(self._order(0))
        compiled = self._placement.compile_step(
            self._advance, self.state, self._images, self._labels, order
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
            self._epoch = epoch
            self._epoch_order = self._placement.replicate(self._order(epoch))
        self.state, sums = compiled(self.state, self._images, self._labels, self._epoch_order)
        self.step += 1
        return sums

    def batch(self, step: int) -> Batch:
        """Returns the batch that the step after `step` steps takes, whole on one device."""
        epoch, step_in_epoch = divmod(step, self._plan.epoch_steps)
        size = self._plan.config.data.batch_size
        positions = take_positions(self._order(epoch), jnp.int32(step_in_epoch), size)
        chosen = np.asarray(positions)
        images, labels = self._arrays.images[chosen], self._arrays.labels[chosen]
        stored = {
            "image": jnp.asarray(images),
            "label": jnp.asarray(labels),
            "weight": jnp.ones(size, jnp.float32),
            "position": positions,
        }
        return self._plan.pipeline.train_stored(stored, self._augment_key(epoch))

    def host_state(self) -> TrainState:
        """Returns the state in the host's memory, once the devices have done all steps.

        All of the run's processes must call it.
        """
        return self._placement.fetch(self.state)

    def restart(self, state: TrainState) -> None:
        """Goes on from another state of the same run."""
        self.step = int(state.step)
        self.state = self._placement.place(state)

    def _augment_key(self, epoch: int | Array) -> Array:
        return jax.random.fold_in(self._keys["augment"], epoch)

    def _order(self, epoch: int) -> Int32[Array, " examples"]:
        return data.epoch_order(self._keys["order"], epoch, len(self._labels))

    def _advance(
        self,
        state: TrainState,
        images: UInt8[Array, "examples height width channels"],
        labels: Int32[Array, " examples"],
        order: Int32[Array, " examples"],
    ) -> tuple[TrainState, Sums]:
        plan = self._plan
        epoch, step_in_epoch = jnp.divmod(state.step, plan.epoch_steps)
        positions = take_positions(order, step_in_epoch, plan.config.data.batch_size)
        batch = plan.pipeline.train_batch(
            images, labels, self._placement.split(positions), self._augment_key(epoch)
        )
        after, sums = train_step(
            state,
            batch,
            self._keys["dropout"],
            model=self._model,
            task=plan.task,
            optimizer=self._optimizer,
            recipe=plan.recipe,
            axis_name=self._placement.axis_name,
        )
        # Known to the device alone where it depends on the losses.
        rate = current_rate(plan.schedule, state.step, after.opt_state)
        return after, {**sums, "learning_rate": rate}
