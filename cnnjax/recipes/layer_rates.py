"""Factors of the learning rate that shrink from the last layer to the first, from one number."""

import re
from collections.abc import Sequence

import flax.linen as linen
import jax
import jax.numpy as jnp

from cnnjax import nn
from cnnjax.analysis.calls import observe_calls


def layer_groups(model: linen.Module, image_shape: Sequence[int]) -> list[list[str]]:
    """Returns the parts of a network that have parameters, in the order of their first calls.

    A part is a layer or block directly under the network; the layers and blocks of an encoder count
    one by one. One without a kernel, such as a norm, belongs to the part before it. The network is
    traced on shapes.

    Args:
        model: the network.
        image_shape: height, width and channels of its images.
    """

    def traced(key: jax.Array) -> dict:
        images = jnp.zeros((1, *image_shape), jnp.float32)
        return nn.init_network(model, key, images)

    with observe_calls() as calls:
        variables = jax.eval_shape(traced, jax.random.key(0))
    groups: dict[str, bool] = {_group(call.path): False for call in calls if call.path}
    paths = jax.tree_util.tree_leaves_with_path(variables["params"])
    trained: dict[str, bool] = {}
    for path, leaf in paths:
        group = _group(tuple(str(key.key) for key in path[:-1]))
        trained[group] = trained.get(group, False) or len(leaf.shape) > 1
    parts: list[list[str]] = []
    # Parameters of layers that are no module of their own are at the end.
    for group in (group for group in {**groups, **trained} if group in trained):
        if trained[group] or not parts:
            parts.append([group])
        else:
            parts[-1].append(group)
    return parts


def decayed_rates(groups: Sequence[Sequence[str]], decay: float) -> tuple[tuple[str, float], ...]:
    """Returns rules that multiply the rate by `decay` once for each part behind a parameter's own.

    Args:
        groups: the network's parts, as `layer_groups` returns them.
        decay: factor from one part to the part before; 1 gives all the same rate.

    Source: Clark et al., "ELECTRA", 2020, appendix B; for images Bao et al., "BEiT", 2022.
    """
    last = len(groups) - 1
    return tuple(
        (f"{re.escape(group)}(/.*)?", decay ** (last - place))
        for place, part in enumerate(groups)
        for group in part
    )


def _group(path: tuple[str, ...]) -> str:
    return "/".join(path[: 2 if path[0] == "encoder" else 1])
