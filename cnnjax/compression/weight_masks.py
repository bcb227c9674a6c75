"""Which single weights stay: the largest, of the network or of each layer, or random ones."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from cnnjax import patterns
from cnnjax.compression.choose_channels import check_ratio
from cnnjax.compression.paths import flat_paths, nested_paths

Scope = Literal["global", "layer"]
By = Literal["magnitude", "random"]
Masks = dict[str, Any]
"""Nested like the parameters, with the pruned arrays alone: True where a weight stays."""

KERNELS = (".*kernel",)
"""The arrays that are pruned if no others are named: no biases, scales and shifts."""


def weight_masks(
    params: Mapping[str, Any],
    sparsity: float,
    *,
    scope: Scope = "global",
    by: By = "magnitude",
    layers: Sequence[str] = KERNELS,
    seed: int = 0,
) -> Masks:
    """Returns masks that keep the largest weights.

    Exactly the share `sparsity` of the weights is removed, rounded down; of equal ones the first.

    Args:
        params: a network's parameters.
        sparsity: the share that is removed, from 0 to below 1.
        scope: "global" compares the weights of all layers, "layer" removes the share from each.
        by: "magnitude", or "random" for random weights, to compare with.
        layers: regular expressions over the parameters' paths; those that one matches are pruned.
        seed: of random weights.

    Raises:
        ValueError: a value is not allowed, or a pattern matches no parameter.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import compression
        >>> params = {"conv": {"kernel": jnp.array([[3.0, -1.0], [0.5, -2.0]])}}
        >>> compression.weight_masks(params, 0.5)["conv"]["kernel"].tolist()
        [[True, False], [False, True]]

    Source: Han et al., 2015, section 3, with a share in place of a threshold.
    """
    check_ratio("sparsity", sparsity)
    check_scope(scope)
    check_by(by)
    chosen = pruned_arrays(params, layers)
    generator = np.random.default_rng(seed)
    values = {
        path: np.abs(np.asarray(leaf)) if by == "magnitude" else generator.random(leaf.shape)
        for path, leaf in chosen.items()
    }
    return nested_paths(largest(values, sparsity, scope))


def check_by(by: Any) -> None:
    """Raises a ValueError unless weights are chosen in one of the ways of `By`.

    Args:
        by: what was given.
    """
    if by not in ("magnitude", "random"):
        raise ValueError(f"by: {by!r} was given; give 'magnitude' or 'random'")


def check_scope(scope: Any) -> None:
    """Raises a ValueError unless a scope is one of `Scope`.

    Args:
        scope: what was given.
    """
    if scope not in ("global", "layer"):
        raise ValueError(f"scope: {scope!r} was given; give 'global' or 'layer'")


def pruned_arrays(params: Mapping[str, Any], layers: Sequence[str]) -> dict[tuple[str, ...], Any]:
    """Returns the arrays that are pruned, by their paths.

    Args:
        params: the parameters; those of frozen layers may be left out (`optax.MaskedNode`).
        layers: patterns of their paths.

    Raises:
        ValueError: a pattern matches no parameter.
    """
    flat = flat_paths(params)
    names = {"/".join(path): 0 for path in flat}
    rules = [(pattern, True) for pattern in layers]
    found = patterns.match([*rules, (".*", False)], names)
    if useless := patterns.unused(rules, names):
        raise ValueError(
            f"layers: no parameter is named {', '.join(map(repr, useless))}; there are "
            f"{', '.join(names)}"
        )
    return {
        path: leaf
        for path, leaf in flat.items()
        if found["/".join(path)] and hasattr(leaf, "shape")
    }


def largest(
    values: Mapping[tuple[str, ...], Any], sparsity: Float[Array, ""] | float, scope: Scope
) -> dict[tuple[str, ...], Bool[Array, "..."]]:
    """Returns where each array's value is among the largest; it can be compiled.

    Args:
        values: arrays of magnitudes.
        sparsity: the share of values that are not.
        scope: "global" or "layer".
    """
    if scope == "layer":
        return {path: _among_largest(value, sparsity) for path, value in values.items()}
    flat = jnp.concatenate(
        [jnp.asarray(value, jnp.float32).reshape(-1) for value in values.values()]
    )
    whole = _among_largest(flat, sparsity)
    ends = np.cumsum([np.size(value) for value in values.values()])[:-1]
    parts = jnp.split(whole, ends)
    return {
        path: part.reshape(np.shape(value))
        for (path, value), part in zip(values.items(), parts, strict=True)
    }


def _among_largest(value: Any, sparsity: Any) -> Bool[Array, "..."]:
    flat = jnp.asarray(value, jnp.float32).reshape(-1)
    # Places, not thresholds: of equal values exactly as many go as the share needs.
    order = jnp.argsort(flat, stable=True)
    ranks = jnp.zeros(flat.shape, jnp.int32).at[order].set(jnp.arange(flat.size, dtype=jnp.int32))
    if isinstance(sparsity, float | int):
        # 0.3 of 10 are 3, although 0.3 * 10 is a little less in binary numbers.
        removed = jnp.int32(int(sparsity * flat.size + 1e-9))
    else:
        removed = jnp.floor(sparsity * flat.size + 1e-3).astype(jnp.int32)
    return (ranks >= removed).reshape(np.shape(value))


def apply_masks(variables: Mapping[str, Any], masks: Masks) -> dict[str, Any]:
    """Returns variables with zeros where a mask is False.

    Args:
        variables: a network's variables, or its parameters alone.
        masks: those of its parameters.

    Raises:
        ValueError: the masks are those of another network.
    """
    if "params" in variables and "params" not in masks:
        return {**variables, "params": apply_masks(variables["params"], masks)}
    check_masks(variables, masks)
    flat = flat_paths(variables)
    for path, mask in flat_paths(masks).items():
        flat[path] = jnp.where(jnp.asarray(mask), flat[path], jnp.zeros((), flat[path].dtype))
    return nested_paths(flat)


def check_masks(params: Mapping[str, Any], masks: Masks) -> None:
    """Raises a ValueError for masks of another network.

    Args:
        params: the network's parameters, or their shapes.
        masks: the masks.
    """
    flat = flat_paths(params)
    if not masks:
        raise ValueError("masks: there are none; make them with compression.weight_masks")
    for path, mask in flat_paths(masks).items():
        name = "/".join(path)
        if path not in flat:
            raise ValueError(
                f"masks: {name} is masked, but the network has no such parameter; the masks are "
                "those of another network"
            )
        needed = getattr(flat[path], "shape", None)
        if np.dtype(mask.dtype) != bool or (needed is not None and mask.shape != needed):
            raise ValueError(
                f"masks: {name} has a mask of shape {mask.shape} and dtype {mask.dtype}, but the "
                f"parameter has shape {needed}, which needs a bool each; the masks are those of "
                "another network"
            )


def zero_masks(params: Mapping[str, Any], layers: Sequence[str] = KERNELS) -> Masks:
    """Returns the masks of a network that was pruned before, such as one from a file of weights.

    Args:
        params: its parameters; what is exactly zero was removed.
        layers: patterns of the arrays that were pruned.

    Raises:
        ValueError: a pattern matches no parameter.
    """
    chosen = pruned_arrays(params, layers)
    return nested_paths({path: leaf != 0 for path, leaf in chosen.items()})


def sparsity_of(masks: Masks) -> float:
    """Returns the share of the masked arrays' weights that are removed.

    Args:
        masks: the masks.
    """
    leaves = jax.tree.leaves(masks)
    return 1 - sum(int(np.sum(leaf)) for leaf in leaves) / sum(leaf.size for leaf in leaves)


def nonzero(params: Mapping[str, Any]) -> int:
    """Returns how many values of a network's parameters are not zero.

    Args:
        params: arrays.
    """
    return sum(int(np.count_nonzero(np.asarray(leaf))) for leaf in jax.tree.leaves(params))
