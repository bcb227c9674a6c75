"""A new classifier on a trained network."""

from collections.abc import Mapping
from typing import Any

import jax

from cnnjax.models.net import Net


def reset_classifier(
    model: Net, variables: Mapping[str, Any], num_classes: int, key: jax.Array
) -> tuple[Net, dict[str, Any]]:
    """Returns a network with other classes: its classifiers are new, everything else is kept.

    Args:
        model: a network of the zoo.
        variables: its variables, with or without auxiliary heads; they are not changed.
        num_classes: number of logits of the new network.
        key: for the new kernels.

    Returns:
        The network with `num_classes`, and its variables; arrays are shared with `variables`.

    Raises:
        TypeError: the model is not one of the zoo.
        ValueError: `num_classes` is less than 1, or `variables` lack the classifier.
    """
    if not isinstance(model, Net):
        raise TypeError(
            f"reset_classifier: the model is a {type(model).__name__}; expected a network made by "
            "create_model, whose classifiers are known by name"
        )
    if "params" not in variables:
        raise ValueError(
            "reset_classifier: the variables have no collection 'params'; they have "
            f"{', '.join(variables) or 'none'}; give the whole result of model.init"
        )
    new_model = model.clone(num_classes=num_classes)
    params = dict(variables["params"])
    paths = [path.split("/") for path in model.class_layers]
    # A network may have no classifier with parameters, but `split` needs at least one key.
    for path, subkey in zip(paths, jax.random.split(key, max(len(paths), 1)), strict=False):
        if path[0] in params:
            params = _replaced(params, path, model, num_classes, subkey)
        # Auxiliary heads, whose classifiers have longer paths, may be absent, and so may layers
        # that only some forms of a network learn.
        elif len(path) == 1 and path[0] in model.classifiers:
            raise ValueError(
                f"reset_classifier: the variables have no layer {path[0]!r}; they have "
                f"{', '.join(params) or 'none'}"
            )
    return new_model, {**variables, "params": params}


def _replaced(
    tree: Mapping[str, Any], path: list[str], model: Net, num_classes: int, key: jax.Array
) -> dict[str, Any]:
    """Returns `tree` with a new layer at `path`."""

    def replaced(branch: Mapping[str, Any], rest: list[str]) -> Mapping[str, Any]:
        if not rest:
            return model.reset_layer("/".join(path), branch, num_classes, key)
        return {**branch, rest[0]: replaced(branch[rest[0]], rest[1:])}

    return dict(replaced(tree, path))
