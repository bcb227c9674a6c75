"""A trained network whose last layers start anew."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from cnnjax import compiler, nn
from cnnjax.recipes.layer_order import layer_groups, patterns_from


def reinitialize(
    model: linen.Module,
    variables: Mapping[str, Any],
    first: str,
    key: Key[Array, ""],
    image_shape: Sequence[int],
) -> dict[str, Any]:
    """Returns variables of which all layers from one on, in the order of computation, are fresh.

    Args:
        model: the network.
        variables: its trained variables.
        first: name of the first layer or block that starts anew, or of a stage.
        key: of the initialization.
        image_shape: height, width and channels of its images.

    Raises:
        ValueError: no layer has the name; the nearest one is given.

    Source: Yosinski et al., "How transferable are features in deep neural networks?", 2014.

    Example:
        >>> from cnnjax import models
        >>> model = models.create_model("resnet8_cifar", 10)
        >>> trained = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
        >>> new = reinitialize(model, trained, "stage3", jax.random.key(1), (8, 8, 1))
        >>> kernel = lambda tree, layer: tree["params"][layer]["conv1"]["kernel"]
        >>> [bool((kernel(new, n) == kernel(trained, n)).all())
        ...  for n in ("stage2_block1", "stage3_block1")]
        [True, False]
    """
    rules = [re.compile(p) for p in patterns_from(layer_groups(model, image_shape), first)]
    images = jnp.zeros((1, *image_shape), jnp.float32)
    init = compiler.jit(lambda key: nn.init_network(model, key, images), runs_once=True)
    fresh = init(key)

    def choose(path: Any, new: Array, old: Any) -> Any:
        # Without the collection, as patterns match it.
        name = jax.tree_util.keystr(path[1:], simple=True, separator="/")
        return new if any(rule.fullmatch(name) for rule in rules) else old

    return jax.tree_util.tree_map_with_path(choose, fresh, dict(variables))
