"""The learning rate's schedules by name, each as a function of the step.

A schedule is a function `(learning_rate, total_steps, epoch_steps, **options) -> optax.Schedule`:
the peak rate, the steps that it has, those of one epoch. Steps are counted from the warm-up's end,
and the warm-up's are not among its steps; a function that takes `warmup_steps` is given them.
"""

import itertools
from collections.abc import Callable, Sequence

import optax

from cnnjax.parts import Registry

ScheduleRule = Callable[..., optax.Schedule]

SCHEDULES: Registry[ScheduleRule] = Registry("schedule", example="my_package.rates:my_schedule")


@SCHEDULES.register("constant")
def constant(learning_rate: float, total_steps: int, epoch_steps: int) -> optax.Schedule:
    """Returns the rate that stays."""
    del total_steps, epoch_steps
    return optax.constant_schedule(learning_rate)


@SCHEDULES.register("plateau")
def plateau(
    learning_rate: float,
    total_steps: int,
    epoch_steps: int,
    *,
    factor: float = 0.1,
    patience: int = 5,
) -> optax.Schedule:
    """Returns the rate before what the losses multiply it by: see `schedules.make_plateau`."""
    del total_steps, epoch_steps, factor, patience
    return optax.constant_schedule(learning_rate)


@SCHEDULES.register("step")
def step(
    learning_rate: float,
    total_steps: int,
    epoch_steps: int,
    *,
    boundaries: Sequence[float],
    factor: float = 0.1,
    warmup_steps: int = 0,
) -> optax.Schedule:
    """Returns the rate that is multiplied by `factor` at each boundary.

    Args:
        learning_rate, total_steps, epoch_steps: see the module.
        boundaries: epochs from the run's start, the warm-up included.
        factor: what each multiplies by.
        warmup_steps: those before this schedule.
    """
    if not boundaries:
        raise ValueError(
            "schedule.boundaries: the step schedule has none; give the epochs at which the rate is "
            "multiplied by schedule.factor, such as (30, 60)"
        )
    steps = [round(epoch * epoch_steps) for epoch in boundaries]
    end = warmup_steps + total_steps
    if any(after <= before for before, after in itertools.pairwise([warmup_steps, *steps, end])):
        raise ValueError(
            f"schedule.boundaries: epochs {tuple(boundaries)} are the steps {steps}; they must "
            f"rise, between the warm-up's end ({warmup_steps}) and the run's ({end})"
        )
    return optax.piecewise_constant_schedule(
        learning_rate, {step - warmup_steps: factor for step in steps}
    )


@SCHEDULES.register("cosine")
def cosine(
    learning_rate: float,
    total_steps: int,
    epoch_steps: int,
    *,
    final_factor: float = 0.0,
    exponent: float = 1.0,
) -> optax.Schedule:
    """Returns half a cosine down to `final_factor` of the rate (Loshchilov and Hutter 2017)."""
    del epoch_steps
    return optax.cosine_decay_schedule(
        learning_rate, total_steps, alpha=final_factor, exponent=exponent
    )


@SCHEDULES.register("exponential")
def exponential(
    learning_rate: float,
    total_steps: int,
    epoch_steps: int,
    *,
    factor: float,
    decay_epochs: float = 1.0,
    staircase: bool = False,
    final_factor: float = 0.0,
) -> optax.Schedule:
    """Returns the rate that is multiplied by `factor` over every `decay_epochs` epochs.

    Args:
        learning_rate, total_steps, epoch_steps: see the module.
        factor: what it is multiplied by.
        decay_epochs: over how many epochs.
        staircase: whether at once at their end (0.94 every two epochs: Szegedy et al. 2016).
        final_factor: the share of the peak rate that it doesn't fall below.
    """
    del total_steps
    return optax.exponential_decay(
        learning_rate,
        max(1, round(decay_epochs * epoch_steps)),
        factor,
        staircase=staircase,
        end_value=final_factor * learning_rate,
    )


@SCHEDULES.register("polynomial")
def polynomial(
    learning_rate: float,
    total_steps: int,
    epoch_steps: int,
    *,
    final_factor: float = 0.0,
    power: float = 1.0,
) -> optax.Schedule:
    """Returns the fall to `final_factor` of the rate by a power of the steps left; 1 is a line."""
    del epoch_steps
    return optax.polynomial_schedule(
        learning_rate, final_factor * learning_rate, power, total_steps
    )


@SCHEDULES.register("onecycle")
def onecycle(
    learning_rate: float,
    total_steps: int,
    epoch_steps: int,
    *,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> optax.Schedule:
    """Returns one cycle (Smith and Topin 2018): half a cosine up to the rate, and one down.

    Args:
        learning_rate, total_steps, epoch_steps: see the module.
        pct_start: the share of the steps in which it rises.
        div_factor: the rate over the first one.
        final_div_factor: the first rate over the last one.
    """
    del epoch_steps
    return optax.cosine_onecycle_schedule(
        total_steps, learning_rate, pct_start, div_factor, final_div_factor
    )
