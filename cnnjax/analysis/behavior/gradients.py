"""The gradients of a loss, and of each of its terms, by the parameters of each layer."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import flax.traverse_util
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Shaped

from cnnjax import compiler
from cnnjax.analysis.behavior.signals import Loss
from cnnjax.analysis.calls import evaluation_arguments, observe_calls
from cnnjax.models.features import apply_with_features
from cnnjax.models.net import Net

Terms = Callable[[Any, Any], Mapping[str, Float[Array, ""]]]
"""A function of variables and a batch that returns the terms of a loss by name, each a scalar."""

OUTPUT = "output"
"""The name of the term that belongs to the network's own output."""


@dataclass(frozen=True)
class LayerGradient:
    """The gradients by the parameters of one layer, as Euclidean norms.

    Attributes:
        name: the layer's path among the parameters.
        has_kernel: whether a parameter has two axes or more, as in convolutions and dense layers,
            but not in norms.
        parameters: norm of the parameters themselves.
        terms: norm of the gradient of each term of the loss, by the term's name.
        others: norm of the gradient of all terms but the first, such as the auxiliary heads
            together; 0 where there is one term.
        total: norm of the gradient of the sum of all terms, which training follows. It is at most
            the sum of `terms`, and less where the gradients point in different directions.
    """

    name: str
    has_kernel: bool
    parameters: float
    terms: Mapping[str, float]
    others: float
    total: float


def layer_gradients(
    model: linen.Module,
    variables: Mapping[str, Any],
    images: Shaped[ArrayLike, "batch ..."],
    batch: Any,
    loss: Loss,
    *,
    heads: Mapping[str, float] | None = None,
    **apply_arguments: Any,
) -> list[LayerGradient]:
    """Measures the gradient of the mean loss by each layer's parameters, head by head.

    Args:
        model: any Flax module.
        variables: its variables, "params" among them.
        images: network inputs.
        batch: what the loss needs besides the outputs, a pytree of arrays.
        loss: returns the losses of outputs, one for each example; their mean is differentiated.
        heads: the weight of the loss of each auxiliary head, by the feature that has the head's
            output, such as `{"aux1": 0.3, "aux2": 0.3}`; for networks of `cnnjax.models` alone.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        One entry for each module that has parameters, in the order of the calls. The terms are
        "output" and the heads by name.

    Raises:
        ValueError: the network has no such head, or names no features.

    Example:
        >>> import flax.linen as linen
        >>> import jax
        >>> import optax
        >>> from cnnjax.analysis.behavior.gradients import layer_gradients
        >>> model = linen.Sequential([linen.Dense(8), linen.relu, linen.Dense(2)])
        >>> x = jax.random.normal(jax.random.key(0), (16, 4))
        >>> variables = model.init(jax.random.key(1), x)
        >>> def loss(outputs, batch):
        ...     return optax.softmax_cross_entropy_with_integer_labels(outputs, batch["label"])
        >>> labels = (x[:, 0] > 0).astype(int)
        >>> for layer in layer_gradients(model, variables, x, {"label": labels}, loss):
        ...     print(layer.name, layer.total == layer.terms["output"])
        layers_0 True
        layers_2 True
    """
    weights = dict(heads or {})
    arguments = evaluation_arguments(model, apply_arguments)
    if weights and not isinstance(model, Net):
        raise ValueError(
            f"heads: {', '.join(weights)} were given, but {type(model).__name__} names no "
            "features; give a network of cnnjax.models, or use gradients_of"
        )

    terms = _head_terms(model, loss, weights, arguments)
    return gradients_of(terms, variables, (jnp.asarray(images), batch))


def _head_terms(
    model: linen.Module, loss: Loss, weights: Mapping[str, float], arguments: Mapping[str, Any]
) -> Terms:
    """Returns a function from variables and (inputs, batch) to the losses of output and heads."""

    def terms(variables: Any, given: tuple[Any, Any]) -> dict[str, Array]:
        inputs, batch = given
        if not weights:
            return {OUTPUT: loss(model.apply(variables, inputs, **arguments), batch).mean()}
        outputs, features = apply_with_features(model, variables, inputs, **arguments)
        for name in weights:
            if name not in features:
                raise ValueError(
                    f"heads: {type(model).__name__} has no feature {name!r} with these variables; "
                    f"it has {', '.join(features)}"
                )
        by_head = {n: w * loss(features[n], batch).mean() for n, w in weights.items()}
        return {OUTPUT: loss(outputs, batch).mean(), **by_head}

    return terms


def gradients_of(terms: Terms, variables: Mapping[str, Any], batch: Any) -> list[LayerGradient]:
    """Measures the gradients of the terms of any loss by each layer's parameters.

    There is one forward pass, and one backward pass for each term.

    Args:
        terms: applies the network and returns the terms of its loss, scalars, by name.
        variables: its first argument, "params" among them.
        batch: its second argument, a pytree of arrays.

    Returns:
        See `layer_gradients`.

    Raises:
        ValueError: there is no term.
    """
    names: list[str] = []

    @compiler.jit
    def measure(variables: Any, batch: Any) -> dict[str, tuple[Array, ...]]:
        rest = {name: tree for name, tree in variables.items() if name != "params"}

        def values(params: Any) -> list[Array]:
            by_name = terms({**rest, "params": params}, batch)
            names[:] = by_name
            return list(by_name.values())

        given, pullback = jax.vjp(values, variables["params"])
        if not given:
            raise ValueError("terms: the loss has no terms; give one or more")
        # One term at a time: 1 for its own value, and 0 for the others'.
        units = [[jnp.full_like(v, i == j) for i, v in enumerate(given)] for j in range(len(given))]
        by_term = [pullback(unit)[0] for unit in units]
        others = _added(by_term[1:]) if by_term[1:] else jax.tree.map(jnp.zeros_like, by_term[0])
        trees = (variables["params"], *by_term, others, _added([by_term[0], others]))
        norms = [_layer_norms(tree) for tree in trees]
        return {layer: tuple(norm[layer] for norm in norms) for layer in norms[0]}

    measured = jax.device_get(measure(variables, batch))
    params: dict[Any, Any] = flax.traverse_util.flatten_dict(variables["params"])
    kernels = {"/".join(path[:-1]) for path, leaf in params.items() if jnp.ndim(leaf) > 1}
    layers = []
    for layer in _called_order(terms, variables, batch, measured):
        own, *by_term, others, total = map(float, measured[layer])
        named = dict(zip(names, by_term, strict=True))
        layers.append(LayerGradient(layer, layer in kernels, own, named, others, total))
    return layers


def _added(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *trees)


def _layer_norms(tree: Any) -> dict[str, Array]:
    """Returns the norm over all parameters of each module, by the module's path."""
    squares: dict[str, Array] = {}
    leaves: dict[Any, Any] = flax.traverse_util.flatten_dict(tree)
    for path, leaf in leaves.items():
        layer = "/".join(path[:-1])
        # In half precision a sum of squares overflows early.
        own = (leaf.astype(jnp.float32) ** 2).sum()
        squares[layer] = squares[layer] + own if layer in squares else own
    return {layer: jnp.sqrt(square) for layer, square in squares.items()}


def _called_order(terms: Terms, variables: Any, batch: Any, layers: Iterable[str]) -> list[str]:
    """Returns the layers in the order in which they are first called; others come last."""
    with observe_calls() as calls:
        # A new function: JAX would not trace again one that it has traced before.
        jax.eval_shape(lambda v, b: terms(v, b), variables, batch)
    places: dict[str, int] = {}
    for place, call in enumerate(calls):
        places.setdefault("/".join(call.path), place)
    return sorted(layers, key=lambda layer: places.get(layer, len(calls)))
