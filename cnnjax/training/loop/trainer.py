"""The training state on the device, and the compiled step that moves it."""

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from cnnjax import data
from cnnjax.recipes.plan import Plan
from cnnjax.tasks.classification import Batch, Sums
from cnnjax.training.devices.placement import Placement
from cnnjax.training.loop.feed import make_feed
from cnnjax.training.step.rate import current_rate
from cnnjax.training.step.state import TrainState
from cnnjax.training.step.step import train_step


class Trainer:
    """Moves a state through the steps of a run.

    Which examples a step takes and what is done to them depends on the seed and the step's number
    alone, so that a resumed run sees what it would have seen.

    Args:
        plan: the run.
        examples: those to train on, which a feed brings to the steps.
        state: where to go on from, in one piece; its buffers are not to be used again.
        placement: how the steps are spread over devices.
        inputs: how images are read that are not in memory.

    Attributes:
        state: the state as it is placed; `host_state` gives it in one piece.
        step: the number of steps done.
        compile_seconds: how long the step took to compile; 0 before that.
    """

    def __init__(
        self,
        plan: Plan,
        examples: data.Examples,
        state: TrainState,
        placement: Placement,
        inputs: data.Inputs | None = None,
    ):
        self._plan = plan
        self._placement = placement
        self._feed = make_feed(plan, examples, placement, inputs or data.Inputs())
        self._keys = plan.keys()
        config = plan.config
        self._model = placement.bind(
            plan.model, config.batch_norm, config.data.batch_size // config.optimizer.accumulate
        )
        self._optimizer = plan.optimizer(state.params)
        self.step = int(state.step)
        self.state = placement.place(state)
        self.compile_seconds = 0.0

    @cached_property
    def _compiled(self) -> Callable[..., tuple[TrainState, Sums]]:
        """The step, compiled when it is first needed: a finished run does without."""
        given = self._feed.arguments(self.step)
        begun = time.perf_counter()
        compiled = self._placement.compile_step(self._advance, self.state, *given)
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
        self.state, sums = compiled(self.state, *self._feed.arguments(self.step))
        self.step += 1
        return sums

    def batch(self, step: int) -> Batch:
        """Returns the batch that the step after `step` steps takes, whole on one device."""
        stored = {name: jnp.asarray(part) for name, part in self._feed.host_batch(step).items()}
        key = self._augment_key(step // self._plan.epoch_steps)
        return self._plan.pipeline.train_stored(stored, key)

    def host_state(self) -> TrainState:
        """Returns the state in the host's memory, once the devices have done all steps.

        All of the run's processes must call it.
        """
        return self._placement.fetch(self.state)

    def restart(self, state: TrainState) -> None:
        """Goes on from another state of the same run."""
        self.step = int(state.step)
        self.state = self._placement.place(state)

    @property
    def waited_seconds(self) -> float:
        """How long the steps waited for their images, in all; 0 where those are on the device."""
        return self._feed.waited_seconds

    @property
    def damaged(self) -> Mapping[str, str]:
        """Names of training images that could not be read, with what is wrong with them."""
        return self._feed.damaged

    def close(self) -> None:
        """Stops what reads ahead of the steps."""
        self._feed.close()

    def _augment_key(self, epoch: int | Array) -> Array:
        return jax.random.fold_in(self._keys["augment"], epoch)

    def _advance(self, state: TrainState, *given: Any) -> tuple[TrainState, Sums]:
        plan = self._plan
        epoch, step_in_epoch = jnp.divmod(state.step, plan.epoch_steps)
        stored = self._feed.stored(step_in_epoch, *given)
        batch = plan.pipeline.train_stored(
            stored, self._augment_key(epoch), self._placement.axis_name
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
