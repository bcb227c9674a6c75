"""The parts of a network in the order of computation, and those from one of them on."""

import re
from collections.abc import Sequence

import flax.linen as linen
import jax
import jax.numpy as jnp

from cnnjax import nn
from cnnjax.analysis.calls import observe_calls
from cnnjax.nearest import did_you_mean


def layer_groups(model: linen.Module, image_shape: Sequence[int]) -> list[list[str]]:
    """Returns the parts of a network that have parameters, in the order of their first calls.

    A part is a layer or block directly under the network; the layers and blocks of an encoder count
    one by one. One without a kernel, such as a norm, belongs to the part before it. The network is
    traced on shapes.

    Args:
        model: the network.
        image_shape: height, width and channels of its images.

    Example:
        >>> from cnnjax import models
        >>> layer_groups(models.create_model("resnet8_cifar"), (8, 8, 1))[:3]
        [['conv1', 'bn1'], ['stage1_block1'], ['stage2_block1']]
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


def patterns_from(groups: Sequence[Sequence[str]], first: str) -> tuple[str, ...]:
    """Returns patterns of all parameters from one part of a network on.

    Args:
        groups: the network's parts, as `layer_groups` returns them.
        first: name of a layer or block, or what the names of several start with, such as "stage3".

    Raises:
        ValueError: no part has the name; the nearest one is given.

    Example:
        >>> patterns_from([["conv1", "bn1"], ["stage1"], ["classifier"]], "stage1")
        ('stage1(/.*)?', 'classifier(/.*)?')
    """
    matches = [any(_is_first(name, first) for name in group) for group in groups]
    if True not in matches:
        names = [name for group in groups for name in group]
        hint = did_you_mean(first, names, count=1).strip()
        raise ValueError(
            f"{first!r} is no layer of the network; {hint or 'there are ' + ', '.join(names)}"
        )
    left = groups[matches.index(True) :]
    return tuple(part_pattern(name) for group in left for name in group)


def part_pattern(name: str) -> str:
    """Returns a pattern of the parameters of a part.

    Args:
        name: of the part.
    """
    return f"{re.escape(name)}(/.*)?"


def _is_first(name: str, first: str) -> bool:
    # "stage1" means stage1_block1, and not stage10_block1.
    return name == first or name.startswith((f"{first}_", f"{first}/"))


def _group(path: tuple[str, ...]) -> str:
    return "/".join(path[: 2 if path[0] == "encoder" else 1])
