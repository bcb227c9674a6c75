"""Learning-rate schedules and optimisers, from their configuration to optax."""

from typing import Any

import optax

from cnnjax import patterns
from cnnjax.training.schema import OptimizerConfig, ScheduleConfig

DECAY_RULES = ((r"(.*/)?kernel", True), (r".*", False))
"""Weight decay acts on kernels; biases, scales and other coefficients are left alone."""


def make_schedule(
    config: ScheduleConfig, learning_rate: float, total_steps: int, epoch_steps: int
) -> optax.Schedule:
    """Returns the learning rate as a function of the step.

    Args:
        config: which schedule.
        learning_rate: its peak.
        total_steps: steps of the whole run; past them the last rate holds.
        epoch_steps: steps of one epoch, the unit of the warm-up.

    Raises:
        ValueError: the warm-up is longer than the run.
    """
    warmup = round(config.warmup_epochs * epoch_steps)
    if warmup >= total_steps:
        raise ValueError(
            f"schedule.warmup_epochs: {config.warmup_epochs} epochs are {warmup} steps, "
            f"the whole run has {total_steps}; shorten the warm-up or lengthen the run"
        )
    if config.name == "constant":
        after = optax.constant_schedule(learning_rate)
    else:
        after = optax.cosine_decay_schedule(
            learning_rate, total_steps - warmup, alpha=config.final_factor
        )
    if not warmup:
        return after
    ramp = optax.linear_schedule(learning_rate / warmup, learning_rate, warmup)
    return optax.join_schedules([ramp, after], [warmup])


def make_optimizer(
    config: OptimizerConfig, schedule: optax.Schedule, params: Any
) -> optax.GradientTransformation:
    """Returns the update rule for parameters of this structure.

    `sgd` and `adam` add `weight_decay * kernel` to the gradient, as PyTorch and the classic papers
    do (an L2 penalty of half that weight); `adamw` decays the weights apart from the gradient
    (Loshchilov and Hutter 2019).
    """
    decayed = patterns.match(DECAY_RULES, params)
    penalty = optax.add_decayed_weights(config.weight_decay, mask=decayed)
    if config.name == "sgd":
        momentum = config.momentum or None
        rule = optax.sgd(schedule, momentum=momentum, nesterov=config.nesterov)
        return optax.chain(penalty, rule)
    if config.name == "adam":
        return optax.chain(penalty, optax.adam(schedule, b1=config.momentum))
    return optax.adamw(schedule, b1=config.momentum, weight_decay=config.weight_decay, mask=decayed)
