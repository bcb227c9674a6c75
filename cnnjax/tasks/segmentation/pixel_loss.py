"""The loss of a segmentation as two sums, over pixels and over images, and its metric sums."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from cnnjax.tasks.heads import Heads
from cnnjax.tasks.segmentation import checks
from cnnjax.tasks.segmentation.confusion import image_confusions, image_ious
from cnnjax.tasks.segmentation.loss_terms import LossTerm
from cnnjax.tasks.segmentation.losses import (
    Logits,
    Masks,
    image_dice,
    pixel_cross_entropy,
    pixel_focal,
    pixel_weights,
)
from cnnjax.tasks.sums import Batch, Sums

OwnPixelLoss = Callable[[Logits, Masks], Float[Array, " batch"]]
"""A function of logits and masks that returns one loss per image."""


@dataclass(frozen=True)
class PixelLoss:
    """The loss of a batch: sums that add up over its parts and over devices.

    Attributes:
        classes: number of classes.
        terms: the losses that are added up; empty where `own` is given.
        own: a function of logits and masks; None for `terms`.
        class_weights: a weight for each class; empty for equal ones.
        ignore_label: a label that does not count, beside those without a class.
        gamma: exponent of the focal loss.
        auxiliary_weight: weight of the loss of each auxiliary head.
    """

    classes: int
    terms: tuple[LossTerm, ...]
    own: OwnPixelLoss | None
    class_weights: tuple[float, ...]
    ignore_label: int
    gamma: float
    auxiliary_weight: float

    def counted(self, batch: Batch) -> Bool[Array, "batch height width"]:
        """Returns which pixels count: those with a class, of examples that count.

        Args:
            batch: the examples.
        """
        masks: Integer[Array, "batch height width"] = batch["mask"]
        known = (masks < self.classes) & (masks >= 0) & (masks != self.ignore_label)
        # An example that fills up the batch counts for nothing.
        return known & (batch["weight"] > 0).reshape(-1, 1, 1)

    def weights(self, batch: Batch) -> Float[Array, "batch height width"]:
        """Returns the weight of each pixel in a mean over pixels.

        Args:
            batch: the examples.
        """
        weights = pixel_weights(batch["mask"], self.counted(batch), self.class_weights)
        return weights * batch["weight"].astype(weights.dtype).reshape(-1, 1, 1)

    def totals(self, batch: Batch) -> dict[str, Array]:
        """Returns what the two sums are divided by: the weights of examples and of pixels.

        Args:
            batch: the examples.
        """
        return {"weight": batch["weight"].sum(), "pixels": self.weights(batch).sum()}

    def of(
        self, logits: Logits, batch: Batch, name: str
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Returns a head's loss summed over pixels, and the one summed over images.

        Args:
            logits: the head's.
            batch: the examples.
            name: the head's, for messages.

        Raises:
            ValueError: the logits do not have the size of the masks.
        """
        checks.check_sizes(f"the network's {name}", logits.shape, batch["mask"].shape)
        masks, weight, pixels = batch["mask"], batch["weight"], self.weights(batch)
        by_image = jnp.zeros(len(weight), jnp.float32)
        if self.own is not None:
            by_image = self.own(logits, masks)
        by_pixel = jnp.zeros((), jnp.float32)
        for term in self.terms:
            if term.name == "dice":
                dice = image_dice(logits, masks, self.counted(batch), self.class_weights)
                by_image = by_image + term.weight * dice
                continue
            if term.name == "focal":
                losses = pixel_focal(logits, masks, self.gamma)
            else:
                losses = pixel_cross_entropy(logits, masks)
            # A plain product would let an infinite loss of weight 0 make the sum NaN.
            own = pixels.astype(losses.dtype)
            by_pixel = by_pixel + term.weight * jnp.where(own > 0, own * losses, 0).sum()
        own_weight = weight.astype(by_image.dtype)
        return by_pixel, jnp.where(own_weight > 0, own_weight * by_image, 0).sum()

    def sums(self, heads: Heads, batch: Batch) -> Sums:
        """Returns the sums of a batch from which the loss and the metrics follow.

        Args:
            heads: the logits of the output and of the auxiliary heads.
            batch: the examples.
        """
        pixel, image = self.of(heads.logits, batch, "output")
        for number, logits in enumerate(heads.auxiliary, 1):
            more_pixel, more_image = self.of(logits, batch, f"aux{number}")
            pixel = pixel + self.auxiliary_weight * more_pixel
            image = image + self.auxiliary_weight * more_image
        predicted = jax.lax.stop_gradient(heads.logits).argmax(axis=-1)
        counted = self.counted(batch)
        confusions = image_confusions(predicted, batch["mask"], counted, self.classes)
        ious, there = image_ious(confusions)
        return {
            **self.totals(batch),
            "pixel_loss": pixel,
            "image_loss": image,
            "confusion": confusions.sum(axis=0),
            "iou": ious.sum(),
            "iou_images": there.sum(),
        }
