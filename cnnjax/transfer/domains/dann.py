"""Domain-adversarial training: features that do not show the domain of an image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from cnnjax import nn, tasks
from cnnjax.models.net import FEATURES
from cnnjax.tasks.heads import Heads
from cnnjax.tasks.losses import class_losses
from cnnjax.tasks.sections import MetricChart
from cnnjax.tasks.sums import Batch, Sums, mean_share, weighted_sums
from cnnjax.tasks.values import Moment
from cnnjax.transfer.domains.adversarial_net import AdversarialNet

UNLABELED = "unlabeled"
"""Name of the stream of the target domain."""


@dataclass(frozen=True)
class DomainAdversarial(tasks.Classification):
    """DANN: classification of a source domain, with features that hide the domain.

    It sees images and labels of the source, the first stream, and images of the target, the
    stream "unlabeled", which must not have labels. A domain head learns to distinguish source and
    target; its gradient is reversed on the way to the features. The loss is the mean classification
    loss of the source, plus half the mean domain loss of the source and half that of the target.
    Both go through the network together, so that batch norms see both.

    The network is an `AdversarialNet`. Evaluation is ordinary classification: give it held-out
    examples of the source, so that no label of the target touches a choice.

    Attributes:
        total_steps: steps of the run, over which the strength of the reversal grows.
        gamma: how fast it grows: at the share p of the run it is 2 / (1 + exp(-gamma p)) - 1.
        strength: by what that is multiplied; with 0 the features do not see the domain head.

    Raises:
        ValueError: a setting is out of range.

    Source: Ganin et al. 2016, equations 9 and 18; gamma is 10 in section 5.2.2.
    """

    total_steps: int = 0
    gamma: float = 10.0
    strength: float = 1.0

    curves: ClassVar[tuple[MetricChart, ...]] = (
        *tasks.Classification.curves,
        MetricChart(
            "domain_accuracy",
            "Accuracy of the domain head",
            percent=True,
            note="At 50 % it cannot distinguish source and target.",
        ),
    )

    def __post_init__(self) -> None:
        """Refuses settings that are out of range."""
        super().__post_init__()
        steps = self.total_steps
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(
                f"task.total_steps: {steps!r} was given; give the run's number of steps, epochs "
                "times len(source) // batch_size"
            )
        for name in ("gamma", "strength"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"task.{name}: {getattr(self, name)!r} was given; give 0 or more")
        if self.auxiliary_weight:
            raise ValueError(
                f"task.auxiliary_weight: {self.auxiliary_weight} was given, but domain-adversarial "
                "training has the domain head alone; set it to 0"
            )

    def strength_at(self, step: Array | int) -> Float[Array, ""]:
        """Returns the strength of the reversal, lambda.

        Args:
            step: steps done.
        """
        done = jnp.asarray(step, jnp.float32) / self.total_steps
        # tanh(x / 2) = 2 / (1 + exp(-x)) - 1, without exp of large numbers.
        return self.strength * jnp.tanh(0.5 * self.gamma * done)

    def totals(self, batch: Batch) -> Mapping[str, Array]:
        """Returns the sums of both streams' weights.

        Args:
            batch: the part of the batch.
        """
        further = batch.get(UNLABELED)
        more = {} if further is None else {UNLABELED: further["weight"].sum()}
        return {**super().totals(batch), **more}

    def loss(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Float[Array, ""], tuple[Sums, dict[str, Any]]]:
        """Runs the network on both domains and returns what training minimizes; see `Task.loss`.

        Args:
            model: an `AdversarialNet`.
            variables: its parameters and other collections.
            batch: the source's examples, and the target's under "unlabeled".
            moment: the step, its randomness and its totals.

        Raises:
            ValueError: the network is another, or the target's stream is missing or has labels.
        """
        unlabeled = _checked(model, batch)
        images = jnp.concatenate([batch["image"], unlabeled["image"]])
        (logits, guesses), updated = nn.apply_network(
            model,
            variables,
            images,
            train=True,
            key=moment.key,
            mutable=[FEATURES],
            method="with_domains",
            strength=self.strength_at(moment.step),
        )
        updated.pop(FEATURES, None)
        count = len(batch["image"])
        outputs = Heads(logits[:count], ())
        losses = self.example_losses(outputs, batch, moment)
        sums = weighted_sums({"loss": losses, **self.example_metrics(outputs, batch)}, batch)
        source = domain_sums(guesses[:count], 0, batch)
        target = domain_sums(guesses[count:], 1, unlabeled)
        share = mean_share(sums["loss"], moment.totals["weight"])
        share += 0.5 * mean_share(source["domain_loss"], moment.totals["weight"])
        share += 0.5 * mean_share(target["domain_loss"], moment.totals[UNLABELED])
        more = {name: source[name] + target[name] for name in source}
        return share, ({**sums, **more}, updated)

    def metrics(
        self, sums: Mapping[str, Any], rows: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, float]:
        """Returns those of classification; in training also the domain head's loss and accuracy.

        Args:
            sums: added up over batches.
            rows: see `Task.metrics`.
        """
        own = {name: float(value) for name, value in sums.items() if name.startswith("domain_")}
        found = super().metrics({k: v for k, v in sums.items() if k not in own}, rows)
        weight = max(own.pop("domain_weight", 0.0), 1e-30)
        return {**found, **{name: value / weight for name, value in own.items()}}


def domain_sums(guesses: Float[Array, "batch 2"], domain: int, batch: Batch) -> Sums:
    """Returns the sums of a domain head's losses and right guesses, and of their weights.

    Args:
        guesses: the head's logits.
        domain: the true domain of all of them, 0 for the source and 1 for the target.
        batch: gives the weights.
    """
    labels = jnp.full(len(guesses), domain, jnp.int32)
    right = (guesses.argmax(axis=-1) == domain).astype(batch["weight"].dtype)
    losses = class_losses(guesses, "softmax", labels)
    sums = weighted_sums({"loss": losses, "accuracy": right}, batch)
    return {f"domain_{name}": value for name, value in sums.items()}


def annealed_rate(total_steps: int, first: float = 0.01) -> optax.Schedule:
    """Returns DANN's learning rate as a function of the step, first / (1 + 10 p) ** 0.75.

    Args:
        total_steps: steps of the run, of which p is the share that is done.
        first: the rate of the first step.

    Source: Ganin et al. 2016, section 5.2.2, with a momentum of 0.9.
    """

    def rate(step: Any) -> Any:
        return first / (1 + 10 * step / total_steps) ** 0.75

    return rate


def _checked(model: linen.Module, batch: Batch) -> Batch:
    """Returns the target's part of a batch, where it is as the method needs it."""
    if not isinstance(model, AdversarialNet):
        raise ValueError(
            f"model: {type(model).__name__} has no domain head; give domains.AdversarialNet(model, "
            "feature)"
        )
    unlabeled = batch.get(UNLABELED)
    if unlabeled is None:
        raise ValueError(
            'train: there is no stream "unlabeled"; give train={"source": data.Stream(…), '
            '"unlabeled": data.Stream(few_labels.hide_labels(target), …)}'
        )
    if "label" in unlabeled:
        raise ValueError(
            'train: the stream "unlabeled" has labels, which the method must not see; give '
            "few_labels.hide_labels(examples)"
        )
    if "image" not in unlabeled or unlabeled["image"].shape[1:] != batch["image"].shape[1:]:
        shape = unlabeled["image"].shape[1:] if "image" in unlabeled else "no image"
        raise ValueError(
            f'train: the stream "unlabeled" has {shape}, but the source has images of '
            f"{batch['image'].shape[1:]}; bring both to one size and one number of channels"
        )
    return unlabeled
