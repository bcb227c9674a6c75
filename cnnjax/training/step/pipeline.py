"""Batches made on the device from stored uint8 images: augmented inside the step."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, Key, UInt8

from cnnjax import data
from cnnjax.data.augment.policy import Policy
from cnnjax.tasks.classification import Batch


@dataclass(frozen=True)
class Pipeline:
    """How stored examples become a training batch.

    Attributes:
        preprocess: the fixed part.
        policy: the random part, of training batches alone.
        num_classes: number of labels.
    """

    preprocess: data.Preprocess
    policy: Policy
    num_classes: int

    def train_stored(
        self, stored: Mapping[str, Array], key: Key[Array, ""], axis_name: str | None = None
    ) -> Batch:
        """Augments and normalises a batch of images as they are stored.

        Args:
            stored: `image` uint8 [batch, height, width, channels], `label` and `position` int32
                [batch], `weight` float32 [batch].
            key: a key of this epoch.
            axis_name: mapped axis over which the batch is spread, where there is one.
        """
        unit = self.preprocess.to_unit(stored["image"])
        keys = data.example_keys(key, stored["position"])
        augmented = data.augment_batch(self.policy, keys, {"image": unit, "label": stored["label"]})
        batch = {
            "image": self.preprocess.normalise(augmented["image"]),
            "label": augmented["label"],
            "weight": stored["weight"],
        }
        return self.policy.mix(keys, batch, num_classes=self.num_classes, axis_name=axis_name)


def gather(
    images: UInt8[Array, "examples height width channels"],
    labels: Int32[Array, " examples"],
    positions: Int32[Array, " batch"],
) -> dict[str, Array]:
    """Returns the examples at these positions of a split, as they are stored, at weight 1."""
    return {
        "image": images[positions],
        "label": labels[positions],
        "weight": jnp.ones(positions.shape, jnp.float32),
        "position": positions,
    }


def take_positions(
    order: Int32[Array, " examples"], step_in_epoch: Array, batch_size: int
) -> Int32[Array, " batch"]:
    """Returns the positions that one step of an epoch takes from the epoch's order."""
    return jax.lax.dynamic_slice(order, (step_in_epoch * batch_size,), (batch_size,))
