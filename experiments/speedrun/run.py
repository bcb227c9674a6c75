"""A run as pure functions: its first state, one step, all of it, and its evaluation."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int, Key, UInt8

from cnnjax.data import Preprocess
from cnnjax.tasks import losses
from experiments.speedrun import views
from experiments.speedrun.batches import (
    Batches,
    draw_batches,
    pad_by_reflection,
    take_batch,
    vary_colors,
)
from experiments.speedrun.network import SpeedNet
from experiments.speedrun.optimizer import blend, lookahead_decays, make_optimizer
from experiments.speedrun.recipes import Recipe
from experiments.speedrun.whitening import whitening_kernel

Padded = UInt8[Array, "examples padded_height padded_width channels"]
Labels = Int[Array, " examples"]


class State(NamedTuple):
    """What a step changes.

    Attributes:
        params: the network's parameters, float32.
        batch_stats: its running statistics, float32.
        opt_state: the optimizer's state.
        slow: the slow copy of both variables, or () for recipes without one.
    """

    params: Any
    batch_stats: Any
    opt_state: Any
    slow: Any

    @property
    def variables(self) -> dict[str, Any]:
        """The variables that the network is applied with."""
        return {"params": self.params, "batch_stats": self.batch_stats}


class StepInput(NamedTuple):
    """The input of one step, or of all steps with a leading axis.

    Attributes:
        batch: which images, and how they are changed.
        decay: the slow copy's weight after the step, see `lookahead_decays`.
    """

    batch: Batches
    decay: Float[Array, "*steps"]


@dataclasses.dataclass(frozen=True)
class Run:
    """A recipe, applied to a number of training images.

    Attributes:
        recipe: the settings.
        model: the network.
        preprocess: how images are normalized.
        examples: number of training images.
    """

    recipe: Recipe
    model: SpeedNet
    preprocess: Preprocess
    examples: int

    @functools.cached_property
    def total_steps(self) -> int:
        """Steps of the run."""
        return self.recipe.total_steps(self.examples)

    @functools.cached_property
    def whitening_steps(self) -> int:
        """Steps in which the whitening layer is trained."""
        return self.recipe.whitening_steps(self.examples)

    @property
    def phases(self) -> list[tuple[bool, slice]]:
        """Whether the whitening layer is trained, and the steps for which that holds."""
        cut, total = self.whitening_steps, self.total_steps
        phases = [(True, slice(0, cut)), (False, slice(cut, total))]
        return [(on, steps) for on, steps in phases if steps.start < steps.stop]

    @functools.cached_property
    def optimizer(self) -> optax.GradientTransformation:
        """The optimizer."""
        return make_optimizer(self.recipe, self.total_steps, self.whitening_steps)

    def start(
        self, key: Key[Array, ""], images: UInt8[Array, "examples height width channels"]
    ) -> tuple[State, StepInput, Padded]:
        """Returns the first state, all batches, and the padded training images.

        Args:
            key: the run's random key.
            images: the training images.
        """
        init_key, batch_key = jax.random.split(key)
        first = self.preprocess.images(images[:1]).astype(self.model.dtype)
        variables = self.model.init(init_key, first, train=False)
        params = dict(variables["params"])
        # From training images rather than at random; it is never trained.
        kernel = whitening_kernel(self.preprocess.images(images[: self.recipe.whitening_images]))
        params["whiten"] = {**params["whiten"], "kernel": kernel}
        batch_stats = variables["batch_stats"]
        slow = () if self.recipe.lookahead is None else (params, batch_stats)
        state = State(params, batch_stats, self.optimizer.init(params), slow)
        batches = draw_batches(
            batch_key,
            self.examples,
            self.recipe.batch_size,
            self.total_steps,
            self.recipe.translate,
            self.recipe.brightness,
            self.recipe.contrast,
        )
        decays = lookahead_decays(
            self.recipe.lookahead, self.total_steps, self.recipe.epoch_steps(self.examples)
        )
        padded = pad_by_reflection(images, self.recipe.translate)
        return state, StepInput(batches, jnp.asarray(decays)), padded

    def step(
        self, state: State, given: StepInput, padded: Padded, labels: Labels, train_whitening: bool
    ) -> tuple[State, Float[Array, ""]]:
        """Returns the state after a step, and the mean loss before it.

        Args:
            state: before the step.
            given: the batch, and the slow copy's weight.
            padded: all training images, padded.
            labels: their labels.
            train_whitening: whether the whitening layer's bias is trained.
        """
        images = self.preprocess.images(take_batch(padded, given.batch, self.recipe.translate))
        inputs = vary_colors(images, given.batch).astype(self.model.dtype)
        classes = self.model.num_classes
        targets = jax.nn.one_hot(labels[given.batch.positions], classes, dtype=jnp.float32)

        def summed_loss(params: Any) -> tuple[Array, Any]:
            logits, updated = self.model.apply(
                {"params": params, "batch_stats": state.batch_stats},
                inputs,
                train=True,
                train_whitening=train_whitening,
                mutable=["batch_stats"],
            )
            each = losses.softmax_cross_entropy(logits, targets, self.recipe.label_smoothing)
            # Summed, not averaged: the recipes' rates are for sums.
            return each.sum(), updated["batch_stats"]

        (loss, batch_stats), grads = jax.value_and_grad(summed_loss, has_aux=True)(state.params)
        updates, opt_state = self.optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        slow = state.slow
        if self.recipe.lookahead is not None:
            slow, (params, batch_stats) = blend(slow, (params, batch_stats), given.decay)
        return State(params, batch_stats, opt_state, slow), loss / self.recipe.batch_size

    def train(
        self,
        key: Key[Array, ""],
        images: UInt8[Array, "examples height width channels"],
        labels: Labels,
    ) -> tuple[dict[str, Any], Float[Array, " steps"]]:
        """Returns the trained variables and the loss of each step: the whole run as one program.

        Args:
            key: the run's random key.
            images: the training images.
            labels: their labels.
        """
        state, given, padded = self.start(key, images)
        all_losses = []
        # A loop for each phase: their steps are different programs.
        for train_whitening, part in self.phases:
            body = functools.partial(
                self.step, padded=padded, labels=labels, train_whitening=train_whitening
            )
            steps = jax.tree.map(lambda a, part=part: a[part], given)
            state, part_losses = lax.scan(body, state, steps)
            all_losses.append(part_losses)
        return state.variables, jnp.concatenate(all_losses)

    def evaluate_chunk(
        self, variables: dict[str, Any], chunk: views.TestChunks
    ) -> tuple[Int[Array, ""], Int[Array, ""]]:
        """Returns how many images of a chunk are right, as they are and with the recipe's views.

        Args:
            variables: of the network.
            chunk: one part of the test images.
        """

        def network(inputs: Array) -> Array:
            return self.model.apply(variables, inputs, train=False)  # pyright: ignore

        images = self.preprocess.images(chunk.images).astype(self.model.dtype)
        weight, share = self.recipe.center_weight, self.recipe.unsure
        if share < 1:
            plain, mean = views.unsure_view_logits(network, images, share, weight)
        else:
            plain, mean = views.view_logits(network, images, weight)
        return views.count_right(plain, chunk.labels), views.count_right(mean, chunk.labels)

    def evaluate(
        self, variables: dict[str, Any], chunks: views.TestChunks
    ) -> tuple[Int[Array, ""], Int[Array, ""]]:
        """Returns the sums of `evaluate_chunk` over all chunks: the evaluation as one program.

        Args:
            variables: of the network.
            chunks: the test images.
        """
        plain, mean = lax.map(functools.partial(self.evaluate_chunk, variables), chunks)
        return plain.sum(), mean.sum()
