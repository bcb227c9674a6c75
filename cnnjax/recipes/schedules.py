"""Learning rates over the steps of a run."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int
from optax.contrib import ReduceLROnPlateauState, reduce_on_plateau

from cnnjax.recipes.schema import ScheduleConfig

PLATEAU_TOLERANCE = 1e-4
"""By which share a mean loss must be lower than the best one before to count as lower."""


def make_schedule(
    config: ScheduleConfig, learning_rate: float, total_steps: int, epoch_steps: int
) -> optax.Schedule:
    """Returns the learning rate as a function of the step.

    That of `plateau` depends on the losses besides; what it is multiplied by is part of the
    optimiser's state, see `make_plateau`.

    Args:
        config: which schedule.
        learning_rate: its peak.
        total_steps: steps of the whole run; past them the last rate holds.
        epoch_steps: steps of one epoch, the unit of the warm-up and of the boundaries.

    Raises:
        ValueError: the warm-up is longer than the run, the boundaries do not rise within the run or
            are none, or keys of another schedule are set.
    """
    _check_keys(config)
    warmup = round(config.warmup_epochs * epoch_steps)
    if warmup >= total_steps:
        raise ValueError(
            f"schedule.warmup_epochs: {config.warmup_epochs} epochs are {warmup} steps, "
            f"the whole run has {total_steps}; shorten the warm-up or lengthen the run"
        )
    if config.name == "cosine":
        after = optax.cosine_decay_schedule(
            learning_rate, total_steps - warmup, alpha=config.final_factor
        )
    elif config.name == "step":
        boundaries = _boundary_steps(config, warmup, total_steps, epoch_steps)
        # Counted from the warm-up's end, as what follows it is.
        factors = {step - warmup: config.factor for step in boundaries}
        after = optax.piecewise_constant_schedule(learning_rate, factors)
    else:
        after = optax.constant_schedule(learning_rate)
    if not warmup:
        return after
    ramp = optax.linear_schedule(learning_rate / warmup, learning_rate, warmup)
    return optax.join_schedules([ramp, after], [warmup])


def make_plateau(
    config: ScheduleConfig, epoch_steps: int
) -> optax.GradientTransformationExtraArgs | None:
    """Returns what multiplies the updates by the plateau schedule's factor; None for other ones.

    It is given each step's loss as `value` and looks at their mean at the end of every epoch. Its
    state (the factor, the best mean, the epochs since) is saved with the optimiser's.
    """
    if config.name != "plateau":
        return None
    return reduce_on_plateau(
        factor=config.factor,
        patience=config.patience,
        rtol=PLATEAU_TOLERANCE,
        accumulation_size=epoch_steps,
    )


def current_rate(
    schedule: optax.Schedule, step: Int[Array, ""] | int, opt_state: optax.OptState
) -> Float[Array, ""]:
    """Returns the learning rate at a step, the plateau's factor in the optimiser's state included.

    Args:
        schedule: as `make_schedule` returns it.
        step: number of steps done before the one that is meant.
        opt_state: the optimiser's state after that step.
    """
    rate = jnp.asarray(schedule(step))

    def is_plateau(node: Any) -> bool:
        return isinstance(node, ReduceLROnPlateauState)

    for node in jax.tree.leaves(opt_state, is_leaf=is_plateau):
        if is_plateau(node):
            rate = rate * jnp.asarray(node.scale).astype(rate.dtype)
    return rate


def _check_keys(config: ScheduleConfig) -> None:
    if config.name == "step" and not config.boundaries:
        raise ValueError(
            "schedule.boundaries: the step schedule has none; give the epochs at which the rate is "
            "multiplied by schedule.factor, such as (30, 60)"
        )
    for key, of_schedule in (("boundaries", "step"), ("final_factor", "cosine")):
        if getattr(config, key) and config.name != of_schedule:
            raise ValueError(
                f"schedule.{key}: {getattr(config, key)} was given with the schedule "
                f"{config.name}; it belongs to {of_schedule}: leave it out, or set schedule.name"
            )


def _boundary_steps(
    config: ScheduleConfig, warmup: int, total_steps: int, epoch_steps: int
) -> list[int]:
    steps = [round(epoch * epoch_steps) for epoch in config.boundaries]
    bounds = [warmup, *steps, total_steps]
    if any(after <= before for before, after in itertools.pairwise(bounds)):
        raise ValueError(
            f"schedule.boundaries: epochs {config.boundaries} are the steps {steps}; they must "
            f"rise, between the warm-up's end ({warmup}) and the run's ({total_steps})"
        )
    return steps
