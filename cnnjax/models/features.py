"""Applying a network so that its named activations come out too."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Array, Float

from cnnjax.models.net import FEATURES, Net


def apply_with_features(
    model: Net,
    variables: Mapping[str, Any],
    x: Float[Array, "batch height width channels"],
    *,
    train: bool = False,
    rngs: Mapping[str, Any] | None = None,
    mutable: Sequence[str] | None = None,
) -> Any:
    """Applies a network, and returns its named activations besides the logits.

    Args:
      model: a network of the zoo.
      variables: its variables.
      x: images, [batch, height, width, channels].
      train: whether dropout, drop-path and the batch's own statistics are used.
      rngs: keys by stream, such as `{"dropout": key}`, needed where `train` draws.
      mutable: collections to update, such as `["batch_stats"]`; a network without such a
        collection returns none.

    Returns:
      `(logits, features)`; with `mutable`, `((logits, features), updates)`, as `apply` has it.
      `features` maps names to activations, from first to last; auxiliary logits are "aux1" and
      "aux2", where `variables` hold the auxiliary heads.

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
