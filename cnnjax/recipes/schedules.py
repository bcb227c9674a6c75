"""The learning rate's schedules by name, each as a function of the step.

A schedule is a function `(learning_rate, total_steps, epoch_steps, **options)` that returns an
`optax.Schedule`. Its steps start at the warm-up's end, and the warm-up's are not among them; a
function with an argument `warmup_steps` receives their number.
"""

import itertools
from collections.abc import Callable, Sequence

import optax

from cnnjax.parts import Registry

ScheduleRule = Callable[..., optax.Schedule]

SCHEDULES: Registry[ScheduleRule] = Registry("schedule", example="my_package.rates:my_schedule")


@SCHEDULES.register("constant")
def constant(learning_rate: float, total_steps: int, epoch_steps: int) -> optax.Schedule:
    """Returns a constant rate.

    Args:
        learning_rate: the rate.
        total_steps: not used.
        epoch_steps: not used.
    """
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
    """Returns a constant rate, which the factor of `schedules.make_plateau` multiplies.

    Args:
        learning_rate: the rate at the start.
        total_steps: not used.
        epoch_steps: not used.
        factor: not used here; `make_plateau` takes it from the configuration.
        patience: not used here; `make_plateau` takes it from the configuration.
    """
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
    """Returns a rate that is multiplied by `factor` at each boundary.

    Args:
        learning_rate: the peak rate.
        total_steps: steps of this schedule.
        epoch_steps: steps of one epoch.
        boundaries: epochs from the run's start, the warm-up included.
        factor: by which each boundary multiplies the rate.
        warmup_steps: steps before this schedule.

    Raises:
        ValueError: there are no boundaries, or they do not rise within the schedule.
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
    """Returns half a cosine from the rate down to `final_factor` of it.

    Args:
        learning_rate: the peak rate.
        total_steps: steps of this schedule.
        epoch_steps: not used.
        final_factor: the last rate's share of the peak rate.
        exponent: the power to which the falling factor is raised.

    Source: Loshchilov and Hutter 2017.
    """
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
    """Returns a rate that is multiplied by `factor` over every `decay_epochs` epochs.

    Args:
        learning_rate: the peak rate.
        total_steps: not used.
        epoch_steps: steps of one epoch.
        factor: by which `decay_epochs` epochs multiply the rate.
        decay_epochs: number of epochs.
        staircase: whether the rate falls at once at their end rather than a little at each step
            (0.94 every two epochs: Szegedy et al. 2016).
        final_factor: the lowest rate's share of the peak rate.
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
    """Returns a rate that falls to `final_factor` of itself by a power of the share of steps left.

    Args:
        learning_rate: the peak rate.
        total_steps: steps of this schedule.
        epoch_steps: not used.
        final_factor: the last rate's share of the peak rate.
        power: the power; 1 is a straight line.
    """
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
    """Returns one cycle: half a cosine up to the rate, and one down.

    Args:
        learning_rate: the peak rate.
        total_steps: steps of this schedule.
        epoch_steps: not used.
        pct_start: the share of the steps in which the rate rises.
        div_factor: the peak rate divided by the first one.
        final_div_factor: the first rate divided by the last one.

    Raises:
        ValueError: `pct_start` leaves no step to fall.

    Source: Smith and Topin 2018.
    """
    del epoch_steps
    rise = int(pct_start * total_steps)
    if not 0 <= rise < total_steps:
        raise ValueError(
            f"onecycle: pct_start {pct_start} of {total_steps} steps leaves {total_steps - rise} "
            "steps to fall; give a share from 0 on, below 1"
        )
    return optax.cosine_onecycle_schedule(
        total_steps, learning_rate, pct_start, div_factor, final_div_factor
    )
