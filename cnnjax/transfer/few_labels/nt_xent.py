"""The loss of SimCLR: each view has to find the other view of its image among all of a batch."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from cnnjax.ops.accumulation import sum_dtype
from cnnjax.transfer.few_labels.whole_batch import first_row, whole


def nt_xent(
    first: Float[Array, "batch values"],
    second: Float[Array, "batch values"],
    temperature: float,
    weight: Float[Array, " batch"] | None = None,
    axis_name: str | None = None,
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """Returns the normalized, temperature-scaled cross-entropy of each image's two views.

    For the views i and j of one image, among the 2N views of a batch of N images,

        l(i, j) = -log(exp(s(i, j) / t) / sum over k != i of exp(s(i, k) / t)),

    with the cosine s and the temperature t. An image's loss is the mean of l(i, j) and l(j, i): the
    2N - 2 views of the other images are the negatives.

    Args:
        first: the projection of one view of each image.
        second: that of the other view.
        temperature: t, above 0.
        weight: 0 for an image that fills up the batch, which is no negative either; None for none.
        axis_name: mapped axis (of `jax.pmap`) over which the batch is spread: the negatives are
            those of all devices.

    Returns:
        The loss of each image, in nats; and the share of its two views whose most similar view is
        the image's other one.

    Source: Chen et al., 2020, "A simple framework for contrastive learning of visual
        representations", equation 1 and algorithm 1.

    Example:
        >>> import jax.numpy as jnp
        >>> views = jnp.eye(2)
        >>> losses, found = nt_xent(views, views, temperature=0.5)
        >>> [round(float(loss), 4) for loss in losses]  # -log(e^2 / (e^2 + 1 + 1))
        [0.2395, 0.2395]
    """
    rows = len(first)
    dtype = sum_dtype(first.dtype)
    first, second = (_unit(values.astype(dtype)) for values in (first, second))
    counts = jnp.ones(rows, bool) if weight is None else weight > 0
    # All views of the whole batch: first the first views, then the second ones.
    views = jnp.concatenate([whole(first, axis_name), whole(second, axis_name)])
    counted = jnp.tile(whole(counts, axis_name), 2)
    places = first_row(rows, axis_name) + jnp.arange(rows)
    size = len(views) // 2
    one, one_found = _directed(first, views, counted, places, places + size, temperature)
    other, other_found = _directed(second, views, counted, places + size, places, temperature)
    return (one + other) / 2, (one_found + other_found) / 2


def _unit(values: Float[Array, "batch values"]) -> Float[Array, "batch values"]:
    # The least squared norm keeps the gradient finite at 0.
    return values * jax.lax.rsqrt(jnp.maximum(jnp.square(values).sum(-1, keepdims=True), 1e-12))


def _directed(
    anchors: Float[Array, "batch values"],
    views: Float[Array, "all values"],
    counted: Bool[Array, " all"],
    own: Array,
    partner: Array,
    temperature: float,
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """Returns l(i, j) of each anchor i, and 1 where its partner j is the most similar view."""
    # On accelerators a product has less than float32's precision by default.
    similar = jnp.matmul(anchors, views.T, precision="highest") / temperature
    columns = jnp.arange(len(views))
    partners = columns[None, :] == partner[:, None]
    # A view is not compared with itself, nor with what fills up the batch.
    compared = (columns[None, :] != own[:, None]) & (counted[None, :] | partners)
    similar = jnp.where(compared, similar, -jnp.inf)
    positive = jnp.where(partners, similar, 0).sum(axis=1)
    found = (similar.argmax(axis=1) == partner).astype(anchors.dtype)
    return jax.nn.logsumexp(similar, axis=1) - positive, found
