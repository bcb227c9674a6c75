"""Augmentations that mix the images of a batch, and with them their labels."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from cnnjax.data.augment.example import parts_of
from cnnjax.data.augment.transform import Kinds, call_text
from cnnjax.data.kinds import Kind
from cnnjax.data.part_checks import kinds_by_name


class Mix(abc.ABC):
    """An augmentation of a whole batch, which comes last in a policy.

    Attributes:
        name: its name in the policy language.
        sort: "mix".
        mixes: the kinds of parts that it mixes.
        refuses: the kinds of parts that an example must not have, since they would be wrong
            afterwards.
    """

    name: ClassVar[str]
    sort: ClassVar[str] = "mix"
    mixes: ClassVar[tuple[Kind, ...]]
    refuses: ClassVar[tuple[Kind, ...]] = ("mask", "boxes", "points")

    @abc.abstractmethod
    def __call__(
        self,
        keys: Key[Array, " batch"],
        batch: Mapping[str, Array],
        kinds: Kinds | None = None,
        num_classes: int | None = None,
        axis_name: str | None = None,
    ) -> dict[str, Array]:
        """Mixes the examples of a batch.

        Args:
            keys: a random key for each example.
            batch: parts [batch, ...].
            kinds: the kind of each part whose name does not show it; see `kinds_by_name`.
            num_classes: number of labels.
            axis_name: mapped axis (of `jax.pmap`) over which the batch is spread; None where the
                batch is whole.

        Returns:
            The batch with mixed parts.
        """

    def __str__(self) -> str:
        """Returns the call of the policy language that makes it."""
        return call_text(self.name, self)

    def check_kinds(self, kinds: Kinds) -> None:
        """Raises an error if a batch has parts that cannot be mixed.

        Args:
            kinds: the kind of each part.

        Raises:
            ValueError: a part has a kind in `refuses`.
        """
        refused = parts_of(kinds, *self.refuses)
        if refused:
            listed = ", ".join(f"{name} ({kinds[name]})" for name in refused)
            raise ValueError(
                f"{self.name}: it mixes parts of kind {' and '.join(self.mixes)}, and cannot mix "
                f"{listed}; leave it out of the augmentation"
            )


@dataclass(frozen=True)
class Mixup(Mix):
    """Mixes each image, and its label, with those of the example before it in the batch.

    Zhang et al. 2018, section 2. The share is drawn from Beta(alpha, alpha), here for each example
    under its own key, so that it depends neither on the batch's size nor on devices. The partner of
    the first example is the last one of the whole batch. An example after one of weight 0 is not
    mixed.

    Parts of kind image and label are mixed, the label as `target`. Masks, boxes and points are
    refused. All other parts stay as they are.

    Attributes:
        alpha: parameter of the distribution; the larger it is, the nearer the shares are to 1/2.

    Raises:
        ValueError: `alpha` is not positive.
    """

    name = "mixup"
    mixes = ("image", "label")

    alpha: float = 0.2

    def __post_init__(self) -> None:
        """Raises an error for an `alpha` that gives no distribution."""
        if not self.alpha > 0:
            raise ValueError(f"mixup: alpha is {self.alpha}; give more than 0")

    def __call__(
        self,
        keys: Key[Array, " batch"],
        batch: Mapping[str, Array],
        kinds: Kinds | None = None,
        num_classes: int | None = None,
        axis_name: str | None = None,
    ) -> dict[str, Array]:
        """Returns the batch with mixed images, and the shares of their labels as `target`.

        Args:
            keys: a random key for each example.
            batch: images float [batch, height, width, channels], one label int [batch], and
                `weight` float [batch].
            kinds: the kind of each part whose name does not show it; see `kinds_by_name`.
            num_classes: number of labels.
            axis_name: mapped axis (of `jax.pmap`) over which the batch is spread in equal parts, in
                order; None where the batch is whole.

        Raises:
            ValueError: the batch has a mask, boxes or points, lacks an image, a label or `weight`,
                or has several labels; or `num_classes` is missing.
        """
        kinds = kinds_by_name(batch, kinds)
        self.check_kinds(kinds)
        images, labels = parts_of(kinds, "image"), parts_of(kinds, "label")
        if not images or len(labels) != 1 or "weight" not in batch:
            raise ValueError(
                "mixup: a batch has images, one label, and weight; this one has "
                + ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
            )
        if num_classes is None:
            raise ValueError("mixup: num_classes is missing; give the number of labels")
        draw = jax.vmap(lambda key: jax.random.beta(key, self.alpha, self.alpha, dtype=jnp.float32))
        # The larger share stays with the example itself, so that its label has the larger share of
        # the target. Beta is symmetric, so that mixtures are distributed as without this.
        own = draw(keys)
        own = jnp.maximum(own, 1 - own)
        own = jnp.where(_before(batch["weight"], axis_name) > 0, own, 1)
        label = jax.nn.one_hot(batch[labels[0]], num_classes)
        mixed = {name: _mix(own, batch[name], _before(batch[name], axis_name)) for name in images}
        return {**batch, **mixed, "target": _mix(own, label, _before(label, axis_name))}


def _mix(
    own: Float[Array, " batch"], values: Float[Array, "batch *rest"], others: Array
) -> Float[Array, "batch *rest"]:
    # Images of half precision stay so.
    share = own.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    return share * values + (1 - share) * others


def _before(values: Array, axis_name: str | None) -> Array:
    """Returns the example before each one in the whole batch; before the first comes the last."""
    if axis_name is None:
        return jnp.roll(values, 1, axis=0)
    devices = jax.lax.axis_size(axis_name)
    ring = [(device, (device + 1) % devices) for device in range(devices)]
    # Only the first example of a device has its predecessor on another device.
    first = jax.lax.ppermute(values[-1:], axis_name, ring)
    return jnp.concatenate([first, values[:-1]])
