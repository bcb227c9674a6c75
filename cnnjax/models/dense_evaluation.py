"""Dense evaluation: a network slides over images larger than those of its training."""

from collections.abc import Mapping
from typing import Any

import flax.errors
import flax.linen as linen
from jaxtyping import Array, Float

from cnnjax.models.blocks.flat import SLIDING
from cnnjax.models.net import Net


def apply_densely(
    model: linen.Module,
    variables: Mapping[str, Any],
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch classes"]:
    """Applies a network fully convolutionally and averages its class scores over all positions.

    Networks with a global average before their dense layer take larger images without a change: the
    average of the features gives the average of the scores. In networks that flatten their maps,
    the dense layers become convolutions: they slide over the maps, one unit at a time. An adaptive
    pool before them, which would shrink the maps instead, is left out.

    Args:
        model: a network of the zoo.
        variables: its variables, made with images of at most this size.
        x: images.

    Returns:
        The mean of the logits over all positions.

    Raises:
        ValueError: `model` is not of the zoo, its dense layers have no square window, it has
            parameters for each unit of its maps (LeNet of 1989), or `x` is too small.

    Source: Simonyan and Zisserman, 2014, section 3.2; Sermanet et al., 2013, section 3.3.
    """
    if not isinstance(model, Net):
        raise ValueError(
            f"apply_densely: {type(model).__name__} is not a network of cnnjax.models, so that its "
            "dense layers cannot slide over larger maps; average over crops instead"
        )
    # An adaptive pool would shrink larger maps to one position.
    if getattr(model, "grid", None) is not None:
        model = model.clone(grid=None)
    logits: Any
    try:
        logits, _ = model.apply(variables, x, train=False, mutable=[SLIDING])
    except flax.errors.ScopeParamShapeError as error:
        raise ValueError(
            f"apply_densely: {type(model).__name__} has parameters of its own for each unit of its "
            "maps, which fixes the size of its images; average over crops instead"
        ) from error
    # One row for each position of each image, where the maps were flattened.
    return logits.reshape(x.shape[0], -1, logits.shape[-1]).mean(axis=1)
