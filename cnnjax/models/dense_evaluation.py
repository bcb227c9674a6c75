"""Dense evaluation: a network slides over images larger than those of its training."""

from collections.abc import Mapping
from typing import Any

import flax.errors
import flax.linen as linen
import jax
from jaxtyping import Array, Float

from cnnjax.models.blocks.flat import SLIDING
from cnnjax.models.net import Net


def score_map(
    model: linen.Module,
    variables: Mapping[str, Any],
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch rows columns classes"]:
    """Returns the class scores of every place of a network's window on larger images.

    The window is an image of the size that `variables` were made with. The dense layers become
    convolutions, so that what two windows share is computed once. Without padding in the network,
    the scores at (row, column) are those of the window that starts at (stride * row, stride *
    column), where stride is that of the last maps; with it, they differ near the windows' edges.

    Args:
        model: a network of the zoo.
        variables: its variables, made with images of at most this size.
        x: images.

    Returns:
        Logits; one row and column for a network that averages its maps over all places itself, or
        where the images have the window's size.

    Raises:
        ValueError: as `apply_densely`.

    Source: Sermanet et al., 2013, section 3.5: the sliding window as a convolution.

    Example:
        >>> import jax
        >>> from cnnjax import models
        >>> model = models.create_model("lenet5")
        >>> variables = model.init(jax.random.key(0), jax.numpy.zeros((1, 32, 32, 1)))
        >>> models.score_map(model, variables, jax.numpy.zeros((2, 40, 48, 1))).shape
        (2, 3, 5, 10)
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
        logits, slid = model.apply(variables, x, train=False, mutable=[SLIDING])
    except flax.errors.ScopeParamShapeError as error:
        raise ValueError(
            f"apply_densely: {type(model).__name__} has parameters of its own for each unit of its "
            "maps, which fixes the size of its images; average over crops instead"
        ) from error
    # One row for each position of each image, where the maps were flattened.
    places = [each.shape for each in jax.tree.leaves(slid)]
    rows, columns = places[0] if places else (1, 1)
    return logits.reshape(x.shape[0], rows, columns, logits.shape[-1])


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
        The mean of `score_map` over all positions.

    Raises:
        ValueError: `model` is not of the zoo, its dense layers have no square window, it has
            parameters for each unit of its maps (LeNet of 1989), or `x` is too small.

    Source: Simonyan and Zisserman, 2014, section 3.2; Sermanet et al., 2013, section 3.3.
    """
    return score_map(model, variables, x).mean(axis=(1, 2))
