"""Weights between those of a pretrained network and those that fine-tuning made of them."""

from collections.abc import Iterable, Mapping
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnjax import compiler, patterns
from cnnjax.inference.weight_average import STATISTICS, batch_statistics_of


def interpolate(
    before: Mapping[str, Any], after: Mapping[str, Any], share: float
) -> dict[str, Any]:
    """Returns variables on the line between two networks: `(1 - share) before + share after`.

    A network between a pretrained and a fine-tuned one is often better on other data than the
    fine-tuned one, and as good on its own. Batch statistics are interpolated too, but those of a
    network in between are no such mean: `renew_statistics` measures them.

    Args:
        before: variables of the network that fine-tuning started from.
        after: variables of the same network afterwards.
        share: 0 gives `before`, 1 gives `after`, both bit for bit.

    Raises:
        ValueError: the share lies outside of 0 to 1, or the networks differ.

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models" (WiSE-FT), 2022, section 3.

    Example:
        >>> before, after = ({"params": {"w": np.float32([x])}} for x in (0, 4))
        >>> interpolate(before, after, 0.25)["params"]["w"].tolist()
        [1.0]
    """
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ValueError(f"share: {share!r} was given; give a number from 0 to 1")
    shapes = [
        {
            name: np.shape(leaf)
            for name, leaf in zip(patterns.path_names(tree), jax.tree.leaves(tree), strict=True)
        }
        for tree in (before, after)
    ]
    for name in {**shapes[0], **shapes[1]}:
        if shapes[0].get(name) != shapes[1].get(name):
            first, second = (str(found.get(name, "missing")) for found in shapes)
            raise ValueError(
                f"interpolate: {name} is {first} before and {second} after; give variables of one "
                "network. A classifier for other classes has no weights before: fit one to the "
                "pretrained features first, such as a linear probe"
            )
    if share in (0, 1):
        return dict(after if share else before)
    return jax.tree.map(lambda a, b: (1 - share) * a + share * b, dict(before), dict(after))


def renew_statistics(
    model: linen.Module,
    variables: Mapping[str, Any],
    batches: Iterable[Float[Array | np.ndarray, "batch height width channels"]],
) -> dict[str, Any]:
    """Returns variables whose batch statistics are means over some batches.

    Each batch norm gets the mean over batches of the batch's mean, and of its variance; all layers
    before it use the batch's own statistics, as in training. One whose statistics training does not
    update keeps them.

    Args:
        model: the network.
        variables: its variables; its parameters stay as they are.
        batches: network inputs, of training images; a few hundred in all are enough.

    Raises:
        ValueError: there are no batches, or the network has no batch statistics.

    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima", 2018, section 3.2.
    """
    if not jax.tree.leaves(variables.get(STATISTICS, {})):
        raise ValueError(
            "renew_statistics: the network has no batch statistics, so that there is nothing to "
            "renew; use the interpolated variables as they are"
        )

    of_batch = compiler.jit(lambda images: batch_statistics_of(model, variables, images))
    total, count = None, 0
    for images in batches:
        found = of_batch(jnp.asarray(images))
        total = found if total is None else jax.tree.map(jnp.add, total, found)
        count += 1
    if total is None:
        raise ValueError("renew_statistics: there are no batches; give some training images")
    return {**variables, STATISTICS: jax.tree.map(lambda t: t / count, total)}
