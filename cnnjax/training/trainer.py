"""The training state on the device, and the compiled step that moves it."""

import time
from collections.abc import Iterator
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, UInt8

from cnnjax import data, ops
from cnnjax.tasks.classification import Sums
from cnnjax.training.errors import TrainingDiverged
from cnnjax.training.pipeline import take_positions
from cnnjax.training.plan import Plan
from cnnjax.training.state import TrainState
from cnnjax.training.step import train_step


class Trainer:
    """Moves a state through epochs.

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

    def epoch(self, log_every: int) -> Iterator[tuple[int, dict[str, float]]]:
        """Trains to the end of the current epoch, yielding the step and metrics every so often.

        The metrics stay on the device until they are yielded: `loss`, `accuracy` and `top5_error`
        as means since the last time, `learning_rate`, and `images_per_second` over the same steps.

        Raises:
            TrainingDiverged: the loss is not finite.
        """
        epoch_steps = self._plan.epoch_steps
        epoch = self.step // epoch_steps
        order = self._order(epoch)
        advance = self._compiled
        pending: list[Sums] = []
        since = time.perf_counter()
        while self.step < (epoch + 1) * epoch_steps:
            self.state, sums = advance(self.state, self._images, self._labels, order)
            self.step += 1
            pending.append(sums)
            if self.step % log_every == 0 or self.step == (epoch + 1) * epoch_steps:
                # Fetching waits for the device: the clock is read after it.
                metrics = self._fetch(pending)
                now = time.perf_counter()
                images = len(pending) * self._plan.config.data.batch_size
                yield self.step, {**metrics, "images_per_second": images / (now - since)}
                pending, since = [], time.perf_counter()

    def _fetch(self, pending: list[Sums]) -> dict[str, float]:
        total = jax.tree.map(lambda *values: sum(values), *jax.device_get(pending))
        metrics = self._plan.task.metrics(total)
        if not np.isfinite(metrics["loss"]):
            raise TrainingDiverged(
                f"the loss is {metrics['loss']} at step {self.step}; lower "
                f"optimizer.learning_rate ({self._plan.config.optimizer.learning_rate})"
            )
        return {
            **metrics,
            "learning_rate": float(np.asarray(self._plan.schedule(self.step - 1))),
        }

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
        key = jax.random.fold_in(self._keys["augment"], epoch)
        batch = plan.pipeline.train_batch(images, labels, positions, key)
        return train_step(
            state,
            batch,
            self._keys["dropout"],
            model=plan.model,
            task=plan.task,
            optimizer=self._optimizer,
        )
