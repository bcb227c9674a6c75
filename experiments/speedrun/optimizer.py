"""How each group of parameters is trained, and the slow copy that some recipes keep."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers, muon

from cnnjax import patterns
from experiments.speedrun.batched_muon import batched_muon
from experiments.speedrun.recipes import Lookahead, Recipe

GROUPS = (
    ("whiten/kernel", "frozen"),
    ("whiten/bias", "whitening_bias"),
    (r".*/conv\d/kernel", "filter"),
    # Normalized channels keep their scale of 1.
    (r".*/norm\d/scale", "frozen"),
    (r".*/norm\d/bias", "norm_bias"),
    ("head/kernel", "head"),
)
"""The group of each parameter of `SpeedNet`."""


def make_optimizer(
    recipe: Recipe, total_steps: int, whitening_steps: int
) -> optax.GradientTransformation:
    """Returns the optimizer, for gradients of losses that are summed over the batch.

    Args:
        recipe: rates, decay and rule of each group.
        total_steps: steps of the run.
        whitening_steps: steps after which the whitening layer's bias stays as it is.
    """
    factor = triangle(total_steps, *recipe.ramp)
    rules: dict[Hashable, optax.GradientTransformation] = {"frozen": optax.set_to_zero()}
    for group, rate in recipe.rates.items():
        if group == "whitening_bias":
            of_rate = _whitening_factor(recipe, factor, whitening_steps)
        else:
            of_rate = factor
        schedule = _scaled(of_rate, rate)
        if group == "filter" and recipe.filter_rule == "muon":
            rules[group] = _muon(schedule, recipe.filter_momentum)
        elif group == "filter" and recipe.filter_rule == "batched_muon":
            rules[group] = batched_muon(schedule, recipe.filter_momentum, recipe.normalize_every)
        else:
            rules[group] = optax.chain(
                # SGD multiplies by the rate: decay is a share of the parameter at the peak rate.
                optax.add_decayed_weights(recipe.decay / rate),
                optax.sgd(schedule, momentum=recipe.momentum, nesterov=True),
            )
    return optax.partition(rules, lambda params: patterns.match(GROUPS, params))


def triangle(steps: int, start: float, end: float, peak: float) -> optax.Schedule:
    """Returns a line from `start` up to 1 at the step int(peak * steps), and down to `end` after.

    Args:
        steps: where `end` would be reached; the last step, steps - 1, comes just before.
        start: factor at the first step.
        end: factor at `steps`.
        peak: share of the steps, from 0 to less than 1.
    """
    top = int(peak * steps)
    fall = optax.linear_schedule(1.0, end, steps - top)
    # The peak is the first step: nothing rises.
    if not top:
        return fall
    return optax.join_schedules([optax.linear_schedule(start, 1.0, top), fall], [top])


def lookahead_decays(lookahead: Lookahead | None, total_steps: int, epoch_steps: int) -> np.ndarray:
    """Returns the slow copy's weight in the blend after each step; NaN where there is none.

    With weight 0, the copy becomes the network: that is the first blend. With weight 1, the network
    becomes the copy: that is the end of each epoch.

    Args:
        lookahead: the schedule; None for no blend at all.
        total_steps: steps of the run.
        epoch_steps: steps of one epoch.

    Returns:
        float32 [total_steps].
    """
    decays = np.full(total_steps, np.nan, np.float32)
    if lookahead is None:
        return decays
    started = False
    for index in range(lookahead.start_epoch * epoch_steps, total_steps):
        done = index + 1
        if done % lookahead.every == 0:
            share = (done / total_steps) ** lookahead.power
            decays[index] = lookahead.decay**lookahead.every * share if started else 0.0
            started = True
        elif started and (done % epoch_steps == 0 or done == total_steps):
            decays[index] = 1.0
    return decays


def blend(slow: Any, fast: Any, decay: jax.Array) -> tuple[Any, Any]:
    """Returns the slow copy moved towards the network, and the network set back to it.

    Args:
        slow: the slow copy, a tree of arrays.
        fast: the network's variables, of the same structure.
        decay: the slow copy's weight; NaN leaves both as they are.
    """

    def moved(slow: Any, fast: Any) -> tuple[Any, Any]:
        mixed = jax.tree.map(lambda s, f: decay * s + (1 - decay) * f, slow, fast)
        return mixed, mixed

    return jax.lax.cond(jnp.isnan(decay), lambda *both: both, moved, slow, fast)


def _whitening_factor(recipe: Recipe, factor: optax.Schedule, steps: int) -> optax.Schedule:
    # Past its last step the bias must stay, whatever the schedule of the others does.
    if recipe.whitening_falls:
        return optax.linear_schedule(1.0, 0.0, steps)
    return lambda count: jnp.where(jnp.less(count, steps), factor(count), 0.0)


def _scaled(factor: optax.Schedule, rate: float) -> optax.Schedule:
    return lambda count: rate * factor(count)


def _muon(schedule: optax.Schedule, momentum: float) -> optax.GradientTransformation:
    """Returns Muon; before each update, filters are normalized to a mean square of 1 / fan-in.

    Source: Jordan et al., 2024; the normalization and the constants are airbench94_muon's.
    """
    rule = muon(
        schedule,
        ns_steps=3,
        beta=momentum,
        eps=1e-7,
        nesterov=True,
        muon_weight_dimension_numbers=lambda filters: jax.tree.map(
            # A filter is a column: inputs times positions by outputs.
            lambda _: MuonDimensionNumbers((0, 1, 2), 3),
            filters,
        ),
    )
    return optax.chain(rule, optax.stateless(_normalize_filters))


def _normalize_filters(updates: Any, params: Any) -> Any:
    """Returns updates that also scale the filters to a root mean norm of 1."""

    def normalized(update: jax.Array, kernel: jax.Array) -> jax.Array:
        factor = kernel.shape[-1] ** 0.5 / jnp.linalg.norm(kernel.reshape(-1))
        return update + (factor - 1) * kernel

    return jax.tree.map(normalized, updates, params)
