"""The learning rate over the steps of a run, from a configuration."""

import inspect

import optax
from optax.contrib import reduce_on_plateau

from cnnjax.recipes.schedules import SCHEDULES
from cnnjax.recipes.schema import ScheduleConfig
from cnnjax.recipes.signatures import check_options, keyword_defaults

PLATEAU_TOLERANCE = 1e-4
"""A mean loss counts as lower if it is below the best one before by this share of it."""

PLATEAU_FACTOR = 0.1
"""The plateau schedule's factor where the configuration gives none."""

KEYS = ("boundaries", "factor", "final_factor", "patience")
"""Keys of the configuration that schedules take under the same name."""


def make_schedule(
    config: ScheduleConfig, learning_rate: float, total_steps: int, epoch_steps: int
) -> optax.Schedule:
    """Returns the learning rate as a function of the step.

    The rate of `plateau` depends on the losses too: the optimizer's state holds the factor that
    multiplies it, see `make_plateau`.

    Args:
        config: the configuration's section `schedule`.
        learning_rate: the peak rate.
        total_steps: steps of the whole run; past them the last rate holds.
        epoch_steps: steps of one epoch, the unit of the warm-up and of the boundaries.

    Raises:
        ValueError: the schedule is unknown, the warm-up is longer than the run, the boundaries are
            missing or do not rise within the run, or keys or options of another schedule are set.
    """
    warmup = round(config.warmup_epochs * epoch_steps)
    if warmup >= total_steps:
        raise ValueError(
            f"schedule.warmup_epochs: {config.warmup_epochs} epochs are {warmup} steps, "
            f"the whole run has {total_steps}; shorten the warm-up or lengthen the run"
        )
    function = SCHEDULES.get(config.name)
    takes = keyword_defaults(function, positional=3)
    given = _given_keys(config, takes or {})
    keys = {key: key for key in KEYS if key in (takes or {})}
    check_options("schedule", config.name, config.options, takes, keys)
    given |= config.options
    for name, default in (takes or {}).items():
        if default is inspect.Parameter.empty and name not in given:
            key = name if name in KEYS else f"options.{name}"
            raise ValueError(f"schedule.{key}: {config.name} needs it; give a value")
    # `boundaries` are epochs from the run's start, which only the warm-up's length can place.
    if "warmup_steps" in (takes or {}):
        given["warmup_steps"] = warmup
    after = function(learning_rate, total_steps - warmup, epoch_steps, **given)
    if not callable(after):
        raise ValueError(
            f"schedule.name: {config.name} returns a {type(after).__name__}; it must return a "
            "function of the step, an optax.Schedule"
        )
    if not warmup:
        return after
    # From a rate above 0, so that the first step is not lost.
    ramp = optax.linear_schedule(learning_rate / warmup, learning_rate, warmup)
    return optax.join_schedules([ramp, after], [warmup])


def make_plateau(
    config: ScheduleConfig, epoch_steps: int
) -> optax.GradientTransformationExtraArgs | None:
    """Returns a rule that multiplies updates by the plateau schedule's factor; None for the others.

    The rule receives each step's loss as `value` and compares their means at the end of every
    epoch. Its state (the factor, the best mean, the epochs since) is saved with the optimizer's.

    Args:
        config: the configuration's section `schedule`.
        epoch_steps: steps of one epoch.
    """
    if config.name != "plateau":
        return None
    return reduce_on_plateau(
        factor=PLATEAU_FACTOR if config.factor is None else config.factor,
        patience=config.patience,
        rtol=PLATEAU_TOLERANCE,
        accumulation_size=epoch_steps,
    )


def _given_keys(config: ScheduleConfig, takes: dict) -> dict:
    """Returns the schedule's arguments that keys of the configuration set."""
    given = {}
    for key in KEYS:
        value = getattr(config, key)
        if key in takes and value is not None:
            given[key] = value
        # `patience` always has a value: it cannot show that it was set.
        elif key not in takes and value not in (None, ()) and key != "patience":
            owners = [n for n in SCHEDULES if key in (keyword_defaults(SCHEDULES.get(n), 3) or {})]
            raise ValueError(
                f"schedule.{key}: {value} was given with the schedule {config.name}; it belongs to "
                f"{', '.join(owners)}: leave it out, or set schedule.name"
            )
    return given
