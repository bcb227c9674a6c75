"""Training in which removed weights stay zero, or are removed little by little."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32

from cnnjax import training
from cnnjax.compression.choose_channels import check_ratio
from cnnjax.compression.paths import flat_paths, nested_paths
from cnnjax.compression.weight_masks import (
    KERNELS,
    By,
    Masks,
    Scope,
    apply_masks,
    check_by,
    check_masks,
    check_scope,
    largest,
    pruned_arrays,
)
from cnnjax.training.run import Optimizer


class MaskedState(NamedTuple):
    """The state of a masked optimizer; checkpoints keep it with the run's state.

    Attributes:
        step: steps done.
        masks: of the trained parameters.
        inner: state of the update rule.
    """

    step: Int32[Array, ""]
    masks: Masks
    inner: Any


@dataclass(frozen=True)
class Gradual:
    """A share of removed weights that grows over the steps of a run.

    At step `start`, and then at every `every`-th step up to `end`, the smallest of the weights that
    are left are removed, until the share is s_f + (s_i - s_f) (1 - (t - start) / (end - start))³.

    Attributes:
        sparsity: the share in the end, s_f.
        end: the step, counted from 1, after which the share stays.
        start: the first step, counted from 1, after which weights are removed.
        every: steps from one removal to the next.
        initial: the share at `start`, s_i.
        scope: "global" or "layer"; see `weight_masks`.
        layers: patterns of the arrays that are pruned.
        by: "magnitude", or "random" for weights in a random order, to compare with.
        seed: of the random order.

    Source: Zhu and Gupta, 2017 ("To prune, or not to prune"), equation 1.
    """

    sparsity: float
    end: int
    start: int = 1
    every: int = 1
    initial: float = 0.0
    scope: Scope = "global"
    layers: Sequence[str] = KERNELS
    by: By = "magnitude"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses shares and steps that make no schedule."""
        check_ratio("sparsity", self.sparsity)
        check_ratio("initial", self.initial)
        check_scope(self.scope)
        check_by(self.by)
        if self.initial > self.sparsity:
            raise ValueError(
                f"initial: {self.initial:g} is more than the sparsity in the end, {self.sparsity:g}"
            )
        if self.start < 1 or self.every < 1 or self.end < self.start:
            raise ValueError(
                f"start, end and every: {self.start}, {self.end} and {self.every} were given; give "
                "steps from 1 on, the end not before the start"
            )

    def values(self, params: Mapping[tuple[str, ...], Array]) -> dict[tuple[str, ...], Array]:
        """Returns what the weights are compared by: the smallest go first.

        Args:
            params: the arrays that are pruned.
        """
        if self.by == "magnitude":
            return {path: jnp.abs(value) for path, value in params.items()}
        keys = jax.random.split(jax.random.key(self.seed), len(params))
        return {
            path: jax.random.uniform(key, value.shape)
            for key, (path, value) in zip(keys, params.items(), strict=True)
        }

    def share(self, step: Array | int) -> Float[Array, ""]:
        """Returns the share of weights that are removed after a step.

        Args:
            step: counted from 1.
        """
        done = (jnp.asarray(step, jnp.float32) - self.start) / max(self.end - self.start, 1)
        done = jnp.clip(done, 0, 1) if self.end > self.start else (done >= 0).astype(jnp.float32)
        return self.sparsity + (self.initial - self.sparsity) * (1 - done) ** 3

    def is_due(self, step: Array | int) -> Array:
        """Returns whether weights are removed after a step.

        Args:
            step: counted from 1.
        """
        step = jnp.asarray(step)
        inside = (step >= self.start) & (step <= self.end)
        return inside & (((step - self.start) % self.every == 0) | (step == self.end))


def masked(
    optimizer: optax.GradientTransformation, masks: Masks
) -> optax.GradientTransformationExtraArgs:
    """Returns an optimizer after each of whose steps the removed weights are exactly zero.

    The update rule sees no gradient of a removed weight, so that it has no momentum either.

    Args:
        optimizer: the update rule.
        masks: of the parameters that are pruned.

    Raises:
        ValueError: when it is initialized: the masks are those of another network.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from cnnjax import compression
        >>> params = {"kernel": jnp.array([1.0, 0.0])}
        >>> masks = {"kernel": jnp.array([True, False])}
        >>> optimizer = compression.masked(optax.sgd(0.5), masks)
        >>> updates, _ = optimizer.update({"kernel": jnp.ones(2)}, optimizer.init(params), params)
        >>> optax.apply_updates(params, updates)["kernel"].tolist()
        [0.5, 0.0]
    """

    def first(params: Any) -> Masks:
        check_masks(params, masks)
        flat = flat_paths(params)
        # Frozen parameters are left out of what an optimizer sees, and do not change.
        kept = {
            path: jnp.array(mask)
            for path, mask in flat_paths(masks).items()
            if hasattr(flat[path], "shape")
        }
        return nested_paths(kept)

    return _masked(optimizer, first, lambda masks, params, step: masks)


def gradually_masked(
    optimizer: optax.GradientTransformation, gradual: Gradual
) -> optax.GradientTransformationExtraArgs:
    """Returns an optimizer that removes more and more of the smallest weights.

    Args:
        optimizer: the update rule.
        gradual: how many, and when.

    Raises:
        ValueError: when it is initialized: a pattern of `gradual` matches no parameter.
    """

    def first(params: Any) -> Masks:
        chosen = pruned_arrays(params, gradual.layers)
        if not chosen:
            raise ValueError(
                f"layers: every array that {', '.join(gradual.layers)} names is frozen; name "
                "some that are trained"
            )
        return nested_paths({path: jnp.ones(leaf.shape, bool) for path, leaf in chosen.items()})

    def smaller(masks: Masks, params: Any, step: Array) -> Masks:
        def remove(masks: Masks) -> Masks:
            flat = flat_paths(params)
            before = flat_paths(masks)
            values = gradual.values({path: flat[path] for path in before})
            # What was removed goes first again.
            values = {path: jnp.where(mask, values[path], -1) for path, mask in before.items()}
            return nested_paths(largest(values, gradual.share(step), gradual.scope))

        return jax.lax.cond(gradual.is_due(step), remove, lambda masks: masks, masks)

    return _masked(optimizer, first, smaller)


def _masked(
    optimizer: optax.GradientTransformation,
    first: Callable[[Any], Masks],
    following: Callable[[Masks, Any, Array], Masks],
) -> optax.GradientTransformationExtraArgs:
    rule = optax.with_extra_args_support(optimizer)

    def init(params: Any) -> MaskedState:
        return MaskedState(jnp.int32(0), first(params), rule.init(params))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        if params is None:
            raise ValueError("masked: the optimizer needs the parameters; pass params to update")
        gradients = apply_masks(updates, state.masks) if state.masks else updates
        updates, inner = rule.update(gradients, state.inner, params, **extra)
        step = state.step + 1
        masks = following(state.masks, optax.apply_updates(params, updates), step)
        return _to_zero(updates, params, masks), MaskedState(step, masks, inner)

    return optax.GradientTransformationExtraArgs(init, update)


def _to_zero(updates: Any, params: Any, masks: Masks) -> Any:
    """Returns updates after which the removed weights are zero."""
    flat, before = (flat_paths(tree) for tree in (updates, params))
    for path, mask in flat_paths(masks).items():
        # p + (-p) is exactly 0.
        flat[path] = jnp.where(mask, flat[path], -before[path].astype(flat[path].dtype))
    return nested_paths(flat)


def masked_run(run: training.Run, masks: Masks) -> training.Run:
    """Returns a run that starts with the removed weights at zero and leaves them there.

    Args:
        run: the run; its variables, or its own start, are masked.
        masks: of the network's parameters.

    Raises:
        ValueError: the masks are those of another network.
    """
    variables = run.init_state().variables
    return _with_optimizer(
        run, lambda rule: masked(rule, masks), variables=apply_masks(variables, masks), start=None
    )


def gradually_pruned_run(run: training.Run, gradual: Gradual) -> training.Run:
    """Returns a run that removes more and more of its weights.

    Args:
        run: the run.
        gradual: how many, and when.

    Raises:
        ConfigError: the run keeps moving averages, in which removed weights would not be zero, or
            ends before the last removal.
    """
    if run.ema_decay > 0:
        raise training.ConfigError(
            "ema_decay: the moving average of a weight that is removed during training is not "
            "zero; set it to 0, or prune first and train with masks (masked_run)"
        )
    if gradual.end > run.total_steps:
        raise training.ConfigError(
            f"end: the last weights are removed after step {gradual.end}, but the run has "
            f"{run.total_steps} steps"
        )
    return _with_optimizer(run, lambda rule: gradually_masked(rule, gradual))


def _with_optimizer(
    run: training.Run,
    change: Callable[[optax.GradientTransformation], optax.GradientTransformation],
    **changes: Any,
) -> training.Run:
    before: Optimizer = run.optimizer

    def optimizer(params: Mapping[str, Any]) -> optax.GradientTransformation:
        rule = before if isinstance(before, optax.GradientTransformation) else before(params)
        return change(rule)

    # It is another run than the one that a configuration describes.
    return run.replace(optimizer=optimizer, identity=None, **changes)
