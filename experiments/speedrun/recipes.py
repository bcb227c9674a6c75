"""The published ways to 94 %, as data.

Two are Keller Jordan's: "sgd" is that of "94% on CIFAR-10 in 3.29 seconds on a single GPU"
(arXiv 2404.00498, airbench94), "muon" its faster successor (airbench94_muon), in which the
convolutions' filters are trained by Muon (Jordan et al., 2024). "batched_muon" has the settings of
github.com/hiverge/cifar10-speedrun (2025), which descends from it. Rates are for losses summed over
the batch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal

from cnnjax.training import ConfigError


@dataclasses.dataclass(frozen=True)
class Lookahead:
    """A slow copy of the network's variables, to which they are set back every few steps.

    Attributes:
        start_epoch: epochs after which it starts.
        every: steps between two blends.
        decay: the copy's weight in a blend at the end of training is `decay ** every`.
        power: during training, it is that times (step / steps) ** power.

    Source: Zhang et al., 2019; the schedule is that of arXiv 2404.00498, section 3.4.
    """

    start_epoch: int
    every: int
    decay: float
    power: float


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The settings of a run.

    Attributes:
        name: of the recipe.
        epochs: passes over the training images; the last one may be cut short.
        batch_size: images a step; an incomplete batch at an epoch's end is dropped.
        filter_rule: how the filters of the 3x3 convolutions are trained; "batched_muon" treats all
            of them in one batch of matrices.
        rates: peak learning rate of each group of parameters, see `optimizer.GROUPS`.
        decay: share of a parameter that a step at the peak rate subtracts; none for filters that
            Muon trains, since they are normalized.
        momentum: Nesterov momentum of SGD.
        ramp: learning rate at the first step and at the last, as a share of the peak's, and the
            share of the steps before the peak.
        whitening_epochs: epochs in which the whitening layer's bias is trained; the layer is frozen
            afterwards. A part of an epoch counts in whole steps.
        whitening_falls: whether that bias's rate falls to 0 within those epochs, or follows `ramp`.
        whitening_bias: that bias starts uniform within plus and minus this.
        unit_head: whether the head's weights start with a standard deviation of 1 and the logits
            are divided by the head's number of inputs; otherwise they start uniform within
            1 / sqrt(inputs), and the logits are divided by 9.
        label_smoothing: share of the target that is spread over all classes.
        translate: pixels by which images are moved at most, along each axis.
        lookahead: the slow copy, or None.
        whitening_images: training images whose patches are whitened.
        activation: after each batch norm; that of the whitening layer is always GELU.
        norm_momentum: share of the running statistics that a step keeps.
        filter_momentum: Nesterov momentum of Muon.
        normalize_every: steps between two normalizations of the filters that "batched_muon" trains.
        brightness: largest number that is added to a normalized image.
        contrast: largest share by which a normalized image is multiplied up or down.
        unsure: share of the test images, those with the least sure predictions, that are predicted
            from six views.
        center_weight: weight of the image itself and its mirror image among the views.
    """

    name: Literal["muon", "sgd", "batched_muon"]
    epochs: float
    batch_size: int
    filter_rule: Literal["muon", "sgd", "batched_muon"]
    rates: Mapping[str, float]
    decay: float
    momentum: float
    ramp: tuple[float, float, float]
    whitening_epochs: float
    whitening_falls: bool
    whitening_bias: float
    unit_head: bool
    label_smoothing: float = 0.2
    translate: int = 2
    lookahead: Lookahead | None = None
    whitening_images: int = 5000
    activation: Literal["gelu", "silu"] = "gelu"
    norm_momentum: float = 0.6
    filter_momentum: float = 0.6
    normalize_every: int = 1
    brightness: float = 0.0
    contrast: float = 0.0
    unsure: float = 1.0
    center_weight: float = 0.5

    def resized(self, epochs: float | None, batch_size: int | None) -> Recipe:
        """Returns the recipe with another length or batch; `decay` grows with the batch.

        Args:
            epochs: passes over the training images; None for the recipe's.
            batch_size: images a step; None for the recipe's.
        """
        batch = batch_size or self.batch_size
        return dataclasses.replace(
            self,
            epochs=self.epochs if epochs is None else epochs,
            batch_size=batch,
            decay=self.decay * batch / self.batch_size,
        )

    def epoch_steps(self, examples: int) -> int:
        """Returns the whole batches of an epoch.

        Args:
            examples: number of training images.

        Raises:
            ConfigError: there are fewer examples than a batch has.
        """
        if examples < self.batch_size:
            raise ConfigError(
                f"--batch_size: {self.batch_size} is more than the {examples} training images; "
                "take fewer a batch, or more images by --train_examples"
            )
        return examples // self.batch_size

    def total_steps(self, examples: int) -> int:
        """Returns the steps of a run.

        Args:
            examples: number of training images.
        """
        return math.ceil(self.epochs * self.epoch_steps(examples))

    def whitening_steps(self, examples: int) -> int:
        """Returns the steps in which the whitening layer's bias is trained.

        Args:
            examples: number of training images.
        """
        steps = math.ceil(self.whitening_epochs * self.epoch_steps(examples))
        return min(steps, self.total_steps(examples))


def _decoupled(rate: float, momentum: float) -> float:
    """Returns a rate per 1,024 examples, divided by Nesterov's gain on constant gradients."""
    return rate / (1024 * (1 + 1 / (1 - momentum)))


_SGD_RATE = _decoupled(11.5, momentum=0.85)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="muon",
            epochs=8,
            batch_size=2000,
            filter_rule="muon",
            rates={"filter": 0.24, "norm_bias": 0.053, "whitening_bias": 0.053, "head": 0.67},
            decay=2e-6 * 2000,
            momentum=0.85,
            ramp=(1.0, 0.0, 0.0),
            whitening_epochs=3,
            whitening_falls=True,
            # PyTorch's own initial biases: 1 / sqrt(fan-in).
            whitening_bias=12**-0.5,
            unit_head=True,
        ),
        Recipe(
            name="sgd",
            epochs=9.9,
            batch_size=1024,
            filter_rule="sgd",
            rates={
                "filter": _SGD_RATE,
                "norm_bias": 64 * _SGD_RATE,
                "whitening_bias": _SGD_RATE,
                "head": _SGD_RATE,
            },
            decay=_decoupled(0.0153 * 1024, momentum=0.85),
            momentum=0.85,
            ramp=(0.2, 0.07, 0.23),
            whitening_epochs=3,
            whitening_falls=False,
            whitening_bias=0.0,
            unit_head=False,
            lookahead=Lookahead(start_epoch=3, every=5, decay=0.95, power=3.0),
        ),
        Recipe(
            name="batched_muon",
            epochs=7.63,
            batch_size=1536,
            filter_rule="batched_muon",
            rates={
                "filter": 0.205,
                "norm_bias": 0.0573,
                "whitening_bias": 0.0573,
                "head": 0.5415,
            },
            decay=1.0418e-6 * 1536,
            momentum=0.825,
            ramp=(1.0, 0.0, 0.0),
            whitening_epochs=0.19,
            whitening_falls=True,
            whitening_bias=12**-0.5,
            unit_head=True,
            label_smoothing=0.09,
            whitening_images=960,
            activation="silu",
            norm_momentum=0.5566,
            filter_momentum=0.655,
            normalize_every=8,
            brightness=0.1399,
            contrast=0.1308,
            unsure=0.2,
            center_weight=1 / 3,
        ),
    )
}
