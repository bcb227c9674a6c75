"""Trained convolutions as columns and rows of low rank, by the singular value decomposition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import nn, patterns
from cnnjax.analysis.calls import observe_calls
from cnnjax.analysis.cost.multiply_adds import multiply_adds_by_layer
from cnnjax.analysis.cost.summarize import checked_shape
from cnnjax.compression.low_rank_kernel import (
    LowRankKernel,
    cheaper_rank,
    low_rank_kernel,
    rank_within,
)
from cnnjax.compression.paths import flat_paths, nested_paths
from cnnjax.nn.low_rank_conv import check_rank, refuses_low_rank

Rank = int | Sequence[tuple[str, int]]
"""One rank for every convolution, or pairs of a pattern over layers' paths and a rank."""


@dataclass(frozen=True, eq=False)
class LowRankLayer:
    """What became of a convolution.

    Attributes:
        name: the layer's path.
        rank: of the columns and rows; None where the convolution stays as it is.
        error: the relative Frobenius error of its kernel.
        filter_errors: that of each filter.
        multiply_adds: for one image, before and after.
    """

    name: str
    rank: int | None
    error: float
    filter_errors: np.ndarray
    multiply_adds: tuple[int, int]


@dataclass(frozen=True, eq=False)
class DecomposedNetwork:
    """A network with convolutions of low rank.

    Attributes:
        model: the network.
        variables: its variables.
        layers: what became of each convolution that is no 1x1.
        multiply_adds: of the network for one image, before and after.
        parameters: before and after.
    """

    model: linen.Module
    variables: dict[str, Any]
    layers: tuple[LowRankLayer, ...]
    multiply_adds: tuple[int, int]
    parameters: tuple[int, int]

    def __str__(self) -> str:
        wide = max(len(layer.name) for layer in self.layers)
        lines = [
            f"{layer.name:<{wide}}  rank {layer.rank or 'full':>4}  error {layer.error:.4f}  "
            f"multiply-adds {layer.multiply_adds[0]:,} -> {layer.multiply_adds[1]:,}"
            for layer in self.layers
        ]
        before, after = self.multiply_adds
        return "\n".join([*lines, f"multiply-adds: {before:,} -> {after:,}"])


def decompose(
    model: linen.Module,
    variables: Mapping[str, Any],
    input_shape: Sequence[int],
    rank: Rank | None = None,
    *,
    error: float | None = None,
) -> DecomposedNetwork:
    """Replaces trained convolutions by columns and rows of low rank; see `nn.LowRankConv`.

    Give `rank` or `error`. Convolutions with groups, and those one pixel high or wide, stay; so
    do, with one rank or `error` for all, those for which the replacement would cost more.

    Args:
        model: any Flax module that takes one array of images.
        variables: its trained variables.
        input_shape: height, width and channels of an image, without the batch.
        rank: one for all, or pairs of a regular expression over layers' paths and a rank; layers
            that none matches stay.
        error: the most relative Frobenius error of each kernel: the smallest rank within it.

    Raises:
        ValueError: a rank or an error is out of range, a pattern matches no convolution, or one
            that cannot be replaced; the message gives the reason.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from cnnjax import compression, models
        >>> net = models.create_model("lenet5")
        >>> variables = net.init(jax.random.key(0), jnp.zeros((1, 32, 32, 1)))
        >>> small = compression.decompose(net, variables, (32, 32, 1), [("c3", 4)])
        >>> {n: k["kernel"].shape for n, k in small.variables["params"]["c3"].items()}
        {'column': (5, 1, 6, 4), 'row': (1, 5, 4, 16)}
    """
    if (rank is None) == (error is None):
        raise ValueError("decompose: give either rank or error")
    _check_error(error)
    shape = checked_shape(input_shape, "decompose")
    convolutions = _convolutions(model, variables, shape)
    flat = flat_paths(variables)
    kernels = {
        name: np.asarray(flat[_kernel(name)]) for name, why in convolutions.items() if not why
    }
    _check_any(model, kernels, convolutions)
    ranks = _ranks(rank, error, kernels, convolutions)
    chosen = {name: low_rank_kernel(kernels[name], value) for name, value in ranks.items()}
    changed = nn.change_layers(model, {name: {"rank": value} for name, value in ranks.items()})
    replaced = _replaced(variables, chosen)
    before, after = (
        multiply_adds_by_layer(net, shape, variables=its)
        for net, its in ((model, variables), (changed, replaced))
    )
    layers = tuple(
        _layer(name, kernel, chosen.get(name), (before.get(name, 0), _beneath(after, name)))
        for name, kernel in kernels.items()
    )
    counts = (sum(before.values()), sum(after.values()))
    sizes = (_parameters(variables), _parameters(replaced))
    return DecomposedNetwork(changed, replaced, layers, counts, sizes)


def _parameters(variables: Mapping[str, Any]) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def _layer(
    name: str, kernel: np.ndarray, chosen: LowRankKernel | None, counts: tuple[int, int]
) -> LowRankLayer:
    if chosen is None:
        return LowRankLayer(name, None, 0.0, np.zeros(kernel.shape[-1]), counts)
    return LowRankLayer(name, chosen.column.shape[-1], chosen.error, chosen.filter_errors, counts)


def _check_error(error: Any) -> None:
    number = isinstance(error, int | float) and not isinstance(error, bool)
    if error is not None and not (number and 0 <= error < 1):
        raise ValueError(f"error: {error!r} was given; give 0 or more, below 1, such as 0.2")


def _check_any(
    model: linen.Module, kernels: Mapping[str, Any], convolutions: Mapping[str, str]
) -> None:
    if not kernels:
        reasons = "; ".join(f"{name}: {why}" for name, why in convolutions.items())
        raise ValueError(
            f"{type(model).__name__} has no convolution that can be replaced; "
            f"{reasons or 'it has none at all'}"
        )


def _kernel(layer: str) -> tuple[str, ...]:
    return ("params", *layer.split("/"), "kernel")


def _beneath(counts: Mapping[str, int], layer: str) -> int:
    return sum(n for name, n in counts.items() if f"{name}/".startswith(f"{layer}/"))


def _convolutions(
    model: linen.Module, variables: Mapping[str, Any], shape: Sequence[int]
) -> dict[str, str]:
    """Returns why each convolution cannot be replaced, by its path; "" where it can."""
    found: dict[str, str] = {}

    def around(call: Any, module: linen.Module, inputs: Any, proceed: Any) -> Any:
        if isinstance(module, linen.Conv):
            kernel = module.variables["params"].get("kernel")
            found["/".join(call.path)] = refuses_low_rank(module) or _refuses_shape(kernel)
        return proceed()

    images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    with observe_calls(around):
        jax.eval_shape(
            lambda v, x: nn.apply_network(model, v, x, train=False), dict(variables), images
        )
    # A loop stacks the kernels of several layers.
    flat = flat_paths(variables)
    stacked = {name for name in found if getattr(flat.get(_kernel(name)), "ndim", 4) != 4}
    return {
        name: "a loop stacks its kernels; make the network with scan=False"
        if name in stacked
        else why
        for name, why in found.items()
    }


def _refuses_shape(kernel: Any) -> str:
    if kernel is None:
        return "it has a low rank already"
    if 1 in kernel.shape[:2]:
        return f"its kernel of {kernel.shape[0]}x{kernel.shape[1]} is a row or a column already"
    return ""


def _ranks(
    rank: Rank | None,
    error: float | None,
    kernels: Mapping[str, np.ndarray],
    convolutions: Mapping[str, str],
) -> dict[str, int]:
    """Returns the rank of each convolution that is replaced."""
    if error is not None:
        found = {name: rank_within(kernel, error) for name, kernel in kernels.items()}
        return {name: value for name, value in found.items() if value < cheaper_rank(kernels[name])}
    if isinstance(rank, int):
        check_rank(rank)
        return {name: rank for name, kernel in kernels.items() if rank < cheaper_rank(kernel)}
    tree = dict.fromkeys(convolutions, 0)
    rules: list[Any] = [tuple(rule) for rule in rank or ()]
    for rule in rules:
        if len(rule) != 2 or not isinstance(rule[0], str):
            raise ValueError(f"rank: {rule!r} is no pair of a pattern and a rank")
    matched = patterns.match([*rules, (".*", None)], tree)
    if useless := patterns.unused(rules, tree):
        raise ValueError(
            f"rank: no convolution is named {', '.join(map(repr, useless))}; there are "
            f"{', '.join(tree)}"
        )
    for name, why in convolutions.items():
        if why and matched[name] is not None:
            raise ValueError(f"rank: {name} cannot be replaced: {why}")
    return {name: value for name, value in matched.items() if value is not None}


def _replaced(variables: Mapping[str, Any], chosen: Mapping[str, LowRankKernel]) -> dict[str, Any]:
    """Returns variables with the columns and rows in the place of kernels."""
    flat = flat_paths(variables)
    for name, kernel in chosen.items():
        *path, _ = _kernel(name)
        old = flat.pop((*path, "kernel"))
        flat[*path, "column", "kernel"] = jnp.asarray(kernel.column, old.dtype)
        flat[*path, "row", "kernel"] = jnp.asarray(kernel.row, old.dtype)
        if (bias := flat.pop((*path, "bias"), None)) is not None:
            flat[*path, "row", "bias"] = bias
    return nested_paths(flat)
