"""Optimizers from a configuration: the update rule, and which parameters it decays and scales."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import optax

from cnnjax import patterns
from cnnjax.recipes.optimizers import OPTIMIZERS
from cnnjax.recipes.schema import OptimizerConfig
from cnnjax.recipes.signatures import check_options, keyword_defaults

DECAY_RULES = ((r"(.*/)?kernel", True), (r".*", False))
"""Weight decay acts on kernels only, not on biases, scales and other coefficients."""

ARGUMENTS = {
    "momentum": ("momentum", "b1"),
    "nesterov": ("nesterov",),
    "beta2": ("b2", "decay"),
    "epsilon": ("eps",),
}
"""Keys of the configuration, and the names of rules' arguments for them."""

DECAYS = ("weight_decay", "weight_decay_rate")
MASKS = ("mask", "weight_decay_mask")

MOMENTUM = {"sgd": 0.9, "rmsprop": 0.9}
"""The default momentum of rules that have none by default in optax."""


def make_optimizer(
    config: OptimizerConfig,
    schedule: optax.Schedule,
    params: Any,
    plateau: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Returns the update rule for parameters of this structure; it freezes none.

    The order is: the gradients are clipped by their global norm (Pascanu et al. 2013, section 3.2),
    then weight decay, the rule, the parameters' own rates.

    A rule with weight decay of its own decays as in optax: `adamw` and most others apart from the
    gradient (Loshchilov and Hutter 2019), `lars` in the gradient that it scales, `adafactor`
    without the learning rate. The others (`sgd`, `adam`, `rmsprop`) add `weight_decay * parameter`
    to the gradient, as PyTorch and the classic papers do (an L2 penalty of half that weight).
    RMSProp divides by the root of the mean squared gradient plus `epsilon`, and its momentum acts
    after the learning rate, as in TensorFlow.

    Args:
        config: the configuration's section `optimizer`.
        schedule: the learning rate.
        params: arrays or their shapes.
        plateau: multiplies the updates by a factor that depends on the losses; None for none.

    Raises:
        ValueError: the rule is unknown or doesn't take an option or key that is set, or the rules
            of `decay` or `rates` leave out a parameter, or one of them matches none.
    """
    decay_rules = config.decay or DECAY_RULES
    for key in ("decay", "rates"):
        patterns.check(f"optimizer.{key}", getattr(config, key), params)

    steps = []
    # First of all, so that weight decay does not count in the norm.
    if config.gradient_clip is not None:
        steps.append(optax.clip_by_global_norm(config.gradient_clip))
    # Patterns are matched inside the rule: frozen parameters are missing from its trees.
    steps += _rule(config, schedule, lambda tree: patterns.match(decay_rules, tree))
    if config.rates:
        steps.append(_scale_by_rules(config.rates))
    if plateau is not None:
        steps.append(plateau)
    rule = optax.chain(*steps) if len(steps) > 1 else steps[0]
    # Every step passes its loss, which only some rules take.
    return optax.with_extra_args_support(rule)


def _rule(
    config: OptimizerConfig, schedule: optax.Schedule, decayed: Callable[[Any], Any]
) -> list[optax.GradientTransformation]:
    """Returns the rule, after the decay of the gradients where it has none of its own."""
    function = OPTIMIZERS.get(config.name)
    takes = keyword_defaults(function, positional=1)
    known = takes or {}
    given = _given_keys(config, known)
    decay = next((name for name in DECAYS if name in known), None)
    mask = next((name for name in MASKS if name in known), None)
    before = []
    keys = {argument: key for key, argument in _arguments(known).items() if argument in given}
    if decay and mask:
        given |= {decay: _or_none(config.weight_decay, known[decay]), mask: decayed}
        keys |= {decay: "weight_decay", mask: "decay"}
    elif decay and config.weight_decay:
        raise ValueError(
            f"optimizer.weight_decay: {config.name} decays all parameters alike, which "
            f"optimizer.decay can't choose; set optimizer.options.{decay} instead"
        )
    # Checkpoints of these three have this step's state at a weight of 0 too.
    elif config.weight_decay or config.name in ("sgd", "adam", "rmsprop"):
        before.append(optax.add_decayed_weights(config.weight_decay, mask=decayed))
    options = dict(config.options)
    check_options("optimizer", config.name, options, takes, keys)
    given |= options
    # A rule of the user's may have arguments without default.
    missing = [n for n, value in known.items() if value is inspect.Parameter.empty]
    if missing := [name for name in missing if name not in given]:
        raise ValueError(
            f"optimizer.options: {config.name} needs {', '.join(missing)}; set "
            f"optimizer.options.{missing[0]}"
        )
    rule = function(schedule, **given)
    # Any object with these two methods will do, also one that is not optax's.
    if not (hasattr(rule, "init") and hasattr(rule, "update")):
        raise ValueError(
            f"optimizer.name: {config.name} returns a {type(rule).__name__}; it must return an "
            "optax.GradientTransformation"
        )
    return [*before, rule]


def _arguments(known: Mapping[str, Any]) -> dict[str, str]:
    """Returns the names of a rule's arguments for the configuration's keys that it takes."""
    found = {key: [n for n in names if n in known] for key, names in ARGUMENTS.items()}
    return {key: names[0] for key, names in found.items() if names}


def _given_keys(config: OptimizerConfig, known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the rule's arguments that keys of the configuration set."""
    arguments = _arguments(known)
    values = {
        "momentum": config.momentum,
        "nesterov": config.nesterov or None,
        "beta2": config.beta2,
        "epsilon": config.epsilon,
    }
    if config.momentum is None:
        values["momentum"] = MOMENTUM.get(config.name)
    given = {}
    for key, value in values.items():
        if value is None:
            continue
        if key not in arguments:
            raise ValueError(
                f"optimizer.{key}: {value} was given with {config.name}, which has none; leave it "
                "out, set another optimizer.name, or one of optimizer.options: "
                f"{', '.join(sorted(known)) or 'none'}"
            )
        given[arguments[key]] = _or_none(value, known[arguments[key]])
    return given


def _or_none(value: float, default: Any) -> float | None:
    """Returns None for a zero where the rule's default is None, which leaves the term out."""
    return None if not value and default is None else value


def _scale_by_rules(rules: Sequence[tuple[str, float]]) -> optax.GradientTransformation:
    def scale(updates: Any, params: Any) -> Any:
        del params
        factors = patterns.match(rules, updates)
        return jax.tree.map(lambda factor, update: factor * update, factors, updates)

    return optax.stateless(scale)
