"""Applying a network and returning its named activations too."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax.models.net import FEATURES, Net


def apply_with_features(
    model: linen.Module,
    variables: Mapping[str, Any],
    x: Float[Array, "batch height width channels"],
    *,
    train: bool = False,
    rngs: Mapping[str, Any] | None = None,
    mutable: Sequence[str] | None = None,
) -> Any:
    """Applies a network, and returns its logits and its named activations.

    Args:
        model: a network of the zoo.
        variables: its variables.
        x: images, [batch, height, width, channels].
        train: whether dropout, drop-path and the batch's own statistics are used.
        rngs: keys by stream, such as `{"dropout": key}`; needed where training mode draws.
        mutable: collections to update, such as `["batch_stats"]`; a network without such a
            collection returns none.

    Returns:
        `(logits, features)`; with `mutable`, `((logits, features), updates)`, in the form of
        `apply`. `features` maps names to activations, from first to last; auxiliary logits are
        "aux1" and "aux2", where `variables` hold the auxiliary heads.

    Raises:
        ValueError: the images are too small for a layer, which the message names.
    """
    keys = None if rngs is None else dict(rngs)
    logits, updated = model.apply(
        variables, x, train=train, rngs=keys, mutable=[FEATURES, *(mutable or ())]
    )
    updates = dict(updated)
    features = dict(updates.pop(FEATURES, {}))
    if mutable is None:
        return logits, features
    return (logits, features), updates


@dataclasses.dataclass(frozen=True)
class FeatureInfo:
    """The name and the form of a named feature.

    Attributes:
        name: key of the feature in `apply_with_features`.
        shape: of one image's feature.
        channels: its last axis.
        stride: pixels of the image from one unit to the next; None for a vector, or for a grid
            whose size does not depend on the image's.
    """

    name: str
    shape: tuple[int, ...]
    channels: int
    stride: int | None


def feature_info(model: Net, input_size: tuple[int, int, int]) -> list[FeatureInfo]:
    """Returns the named features of a network, found from shapes alone.

    Args:
        model: a network of the zoo.
        input_size: height, width and channels of the images.

    Returns:
        One entry for each feature, from first to last.

    Raises:
        ValueError: the images are too small for a layer, which the message names.
    """
    # Every stride divides 64, so that 64 more pixels are 64 / stride more units.
    more = 64
    height, width, channels = input_size
    small = feature_shapes(model, (height, width, channels))
    large = feature_shapes(model, (height + more, width, channels))
    infos = []
    for name, shape in small.items():
        # A vector, and a fixed grid, do not grow with the image.
        grown = large[name][0] - shape[0] if len(shape) == 3 else 0
        infos.append(FeatureInfo(name, shape, shape[-1], more // grown if grown else None))
    return infos


def feature_shapes(model: Net, input_size: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of one image's features, by name, from first to last.

    Args:
        model: a network of the zoo.
        input_size: height, width and channels of the images.
    """
    images = jax.ShapeDtypeStruct((1, *input_size), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    shapes: dict[str, tuple[int, ...]] = {}

    def apply(variables: Any, x: Array) -> None:
        # Collected here, in order: the result of eval_shape has its keys sorted.
        _, features = apply_with_features(model, variables, x)
        shapes.update({name: f.shape[1:] for name, f in features.items()})

    jax.eval_shape(apply, variables, images)
    return shapes
