"""Augmentations that mix the images of a batch, and with them their labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


@dataclass(frozen=True)
class Mixup:
    """Mixes each image, and its label, with those of the example before it in the batch.

    Zhang et al. 2018, section 2: by a share drawn from Beta(alpha, alpha), here for each example
    under its own key, so that it depends neither on the batch's size nor on devices. The first
    example's partner is the last of the whole batch. An example of weight 0 is nobody's partner.

    Attributes:
        alpha: parameter of the distribution; the larger, the nearer the shares are to a half.

    Raises:
        ValueError: `alpha` is not positive.
    """

    alpha: float = 0.2

    def __post_init__(self) -> None:
        """Refuses an alpha that gives no distribution."""
        if not self.alpha > 0:
            raise ValueError(f"mixup: alpha is {self.alpha}; give more than 0")

    def __call__(
        self,
        keys: Key[Array, " batch"],
        batch: Mapping[str, Array],
        num_classes: int,
        axis_name: str | None = None,
    ) -> dict[str, Array]:
        """Returns the batch with mixed images, and their labels' shares as `target`.

        Args:
            keys: one for each example.
            batch: `image` float [batch, height, width, channels], `label` int [batch], and
                `weight` float [batch].
            num_classes: number of labels.
            axis_name: mapped axis (of `jax.pmap`) over which the batch is spread, each device with
                as many examples in a row; None where the batch is whole.
        """
        draw = jax.vmap(lambda key: jax.random.beta(key, self.alpha, self.alpha))
        # The larger share stays with the example itself, so that its label is the first one. As
        # Beta is symmetric, pairs are mixed as often in each way as without.
        own = draw(keys)
        own = jnp.maximum(own, 1 - own)
        own = jnp.where(_before(batch["weight"], axis_name) > 0, own, 1)
        image, label = batch["image"], jax.nn.one_hot(batch["label"], num_classes)
        return {
            **batch,
            "image": _mix(own, image, _before(image, axis_name)),
            "target": _mix(own, label, _before(label, axis_name)),
        }


def _mix(
    own: Float[Array, " batch"], values: Float[Array, "batch *rest"], others: Array
) -> Float[Array, "batch *rest"]:
    share = own.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    return share * values + (1 - share) * others


def _before(values: Array, axis_name: str | None) -> Array:
    """Returns each example's predecessor in the whole batch; the first one's is the last."""
    if axis_name is None:
        return jnp.roll(values, 1, axis=0)
    devices = jax.lax.axis_size(axis_name)
    ring = [(device, (device + 1) % devices) for device in range(devices)]
    first = jax.lax.ppermute(values[-1:], axis_name, ring)
    return jnp.concatenate([first, values[:-1]])
