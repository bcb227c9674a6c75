"""Optimisers: which update rule, and what it does to which parameter, in terms of optax."""

from collections.abc import Sequence
from typing import Any

import jax
import optax

from cnnjax import patterns
from cnnjax.recipes.schema import OptimizerConfig

DECAY_RULES = ((r"(.*/)?kernel", True), (r".*", False))
"""Weight decay acts on kernels; biases, scales and other coefficients are left alone."""


def make_optimizer(
    config: OptimizerConfig,
    schedule: optax.Schedule,
    params: Any,
    plateau: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Returns the update rule for parameters of this structure.

    In order: the gradients of frozen parameters are dropped, the others clipped by their global
    norm (Pascanu et al. 2013, section 3.2), then weight decay, the rule, the parameters' own rates.
    A frozen parameter has no state, and does not decay; batch statistics move on in any layer.

    `sgd`, `adam` and `rmsprop` add `weight_decay * parameter` to the gradient, as PyTorch and the
    classic papers do (an L2 penalty of half that weight); `adamw` decays the weights apart from the
    gradient (Loshchilov and Hutter 2019). RMSProp divides by the root of the mean squared gradient
    plus `epsilon`, and its momentum acts after the learning rate, as in TensorFlow.

    Args:
        config: which rule.
        schedule: the learning rate.
        params: arrays or their shapes.
        plateau: what multiplies the updates by a factor found from the losses.

    Raises:
        ValueError: rules of `decay`, `rates` or `frozen` leave parameters out or match none, all
            parameters are frozen, or keys of another rule are set.
    """
    _check_keys(config)
    decay_rules = config.decay or DECAY_RULES
    for key in ("decay", "rates", "frozen"):
        _check_rules(key, getattr(config, key), params)

    parts = []
    if config.gradient_clip is not None:
        parts.append(optax.clip_by_global_norm(config.gradient_clip))
    # Rules are matched where they act: frozen parameters are missing from the trees there.
    parts.append(_rule(config, schedule, lambda tree: patterns.match(decay_rules, tree)))
    if config.rates:
        parts.append(_scale_by_rules(config.rates))
    rule = optax.chain(*parts) if len(parts) > 1 else parts[0]
    if config.frozen:
        labels = patterns.match(
            [(pattern, "frozen" if frozen else "trained") for pattern, frozen in config.frozen],
            params,
        )
        if "trained" not in jax.tree.leaves(labels):
            raise ValueError("optimizer.frozen: every parameter is frozen; leave some to train")
        rule = optax.partition({"trained": rule, "frozen": optax.set_to_zero()}, labels)
    if plateau is not None:
        rule = optax.chain(rule, plateau)
    return optax.with_extra_args_support(rule)


def _rule(
    config: OptimizerConfig, schedule: optax.Schedule, decayed: Any
) -> optax.GradientTransformation:
    beta2 = config.beta2 if config.beta2 is not None else 0.999
    epsilon = config.epsilon if config.epsilon is not None else 1e-8
    if config.name == "adamw":
        return optax.adamw(
            schedule,
            b1=config.momentum,
            b2=beta2,
            eps=epsilon,
            weight_decay=config.weight_decay,
            mask=decayed,
            nesterov=config.nesterov,
        )
    penalty = optax.add_decayed_weights(config.weight_decay, mask=decayed)
    if config.name == "adam":
        rule = optax.adam(
            schedule, b1=config.momentum, b2=beta2, eps=epsilon, nesterov=config.nesterov
        )
    elif config.name == "rmsprop":
        rule = optax.rmsprop(
            schedule,
            decay=config.beta2 if config.beta2 is not None else 0.9,
            eps=epsilon,
            momentum=config.momentum or None,
            nesterov=config.nesterov,
        )
    else:
        rule = optax.sgd(schedule, momentum=config.momentum or None, nesterov=config.nesterov)
    return optax.chain(penalty, rule)


def _scale_by_rules(rules: Sequence[tuple[str, float]]) -> optax.GradientTransformation:
    def scale(updates: Any, params: Any) -> Any:
        del params
        factors = patterns.match(rules, updates)
        return jax.tree.map(lambda factor, update: factor * update, factors, updates)

    return optax.stateless(scale)


def _check_keys(config: OptimizerConfig) -> None:
    for key in ("beta2", "epsilon"):
        if config.name == "sgd" and getattr(config, key) is not None:
            raise ValueError(
                f"optimizer.{key}: {getattr(config, key)} was given with sgd, which has none; "
                "leave it out, or set optimizer.name to 'adam', 'adamw' or 'rmsprop'"
            )


def _check_rules(key: str, rules: Sequence[tuple[str, Any]], params: Any) -> None:
    if not rules:
        return
    try:
        patterns.match(rules, params)
        useless = patterns.unused(rules, params)
    except ValueError as error:
        raise ValueError(f"optimizer.{key}: {error}") from None
    if useless:
        raise ValueError(
            f"optimizer.{key}: the patterns {', '.join(map(repr, useless))} are the first to match "
            f"of no parameter; there are {', '.join(patterns.path_names(params))}"
        )
