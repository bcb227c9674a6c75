"""The two published ways to 94 %, as data.

Both are Keller Jordan's: "sgd" is that of "94% on CIFAR-10 in 3.29 seconds on a single GPU"
(arXiv 2404.00498, airbench94), "muon" its faster successor (airbench94_muon), in which the
convolutions' filters are trained by Muon (Jordan et al., 2024). Rates are for losses summed over
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
        filter_rule: how the filters of the 3x3 convolutions are trained.
        rates: peak learning rate of each group of parameters, see `optimizer.GROUPS`.
        decay: share of a parameter that a step at the peak rate subtracts; none for filters that
            Muon trains, since they are normalized.
        momentum: Nesterov momentum of SGD.
        ramp: learning rate at the first step and at the last, as a share of the peak's, and the
            share of the steps before the peak.
        whitening_epochs: epochs in which the whitening layer's bias is trained; the layer is frozen
            afterwards.
        whitening_falls: whether that bias's rate falls to 0 within those epochs, or follows `ramp`.
        whitening_bias: that bias starts uniform within plus and minus this.
        unit_head: whether the head's weights start with a standard deviation of 1 and the logits
            are divided by the head's number of inputs; otherwise they start uniform within
            1 / sqrt(inputs), and the logits are divided by 9.
        label_smoothing: share of the target that is spread over all classes.
        translate: pixels by which images are moved at most, along each axis.
        lookahead: the slow copy, or None.
    """

    name: Literal["muon", "sgd"]
    epochs: float
    batch_size: int
    filter_rule: Literal["muon", "sgd"]
    rates: Mapping[str, float]
    decay: float
    momentum: float
    ramp: tuple[float, float, float]
    whitening_epochs: int
    whitening_falls: bool
    whitening_bias: float
    unit_head: bool
    label_smoothing: float = 0.2
    translate: int = 2
    lookahead: Lookahead | None = None

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
        steps = self.whitening_epochs * self.epoch_steps(examples)
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
    )
}
