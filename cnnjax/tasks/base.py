"""The protocol between a run and its task, which defines what the network learns.

A task is a frozen dataclass: its fields are its settings, its methods are pure functions over a
batch. The loop, the checkpoints, evaluation and reports use nothing else of a task.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import flax.linen as linen
import numpy as np
from jaxtyping import Array, Float

from cnnjax import nn
from cnnjax.data.examples import Spec
from cnnjax.data.kinds import Kind
from cnnjax.tasks.outcomes import Outcomes
from cnnjax.tasks.sections import MetricChart
from cnnjax.tasks.sums import Batch, Rows, Sums, mean_share, weighted_sums
from cnnjax.tasks.values import Moment, Score


class Task(Outcomes):
    """A task with one loss per example; subclasses override what differs.

    A subclass must define `example_losses`, or `loss` where its loss is not a mean over examples.
    Subclasses are frozen dataclasses.
    """

    score: ClassVar[Score] = Score()
    """The metric that chooses checkpoints."""

    curves: ClassVar[tuple[MetricChart, ...]] = ()
    """Which metrics a report draws as learning curves, and how; empty for all that are logged."""

    part_kinds: ClassVar[tuple[Kind, ...] | None] = None
    """Kinds of the parts that are read of a set that has others too; None for all kinds."""

    named_by: ClassVar[Literal["label", "mask"]] = "label"
    """The kind whose labels `class_names` names, for a task with such a field."""

    def check(self, spec: Spec, outputs: Any) -> None:
        """Refuses examples or a network that the task cannot use, before any work.

        Args:
            spec: the parts of the first stream's examples.
            outputs: shapes and dtypes (`jax.ShapeDtypeStruct`s) of what the network gives for a
                batch.

        Raises:
            ValueError: they do not fit; the message names what is expected.
        """

    def check_values(self, parts: Mapping[str, np.ndarray]) -> None:
        """Refuses values that the task cannot use, by a ValueError, such as labels without a class.

        It gets the first stream's and the evaluated examples in memory, and each batch read later.

        Args:
            parts: the parts of some examples, [examples, ...]; zeros for one that cannot be read.
        """

    def outputs(self, spec: Spec) -> int | None:
        """Returns how many values the network gives for an example; None for any number.

        Args:
            spec: the parts of the first stream's examples.
        """
        del spec
        return None

    def totals(self, batch: Batch) -> Mapping[str, Array]:
        """Returns sums over a part of a batch by which `loss` divides once they are added up.

        Args:
            batch: the part of the batch.
        """
        return {"weight": batch["weight"].sum()}

    def init_state(self) -> Any:
        """Returns the task's state before the first step: a pytree that checkpoints keep."""
        return ()

    def next_state(self, state: Any, sums: Mapping[str, Array]) -> Any:
        """Returns the state after a step.

        Args:
            state: the state before the step.
            sums: the step's metric sums, over the whole batch.
        """
        del sums
        return state

    def apply(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        """Runs the network on a batch.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples, or a part of them.
            moment: the step and its randomness.

        Returns:
            Its outputs, and the collections that it updated (none in evaluation).
        """
        if not moment.train:
            return nn.apply_network(model, variables, batch["image"], train=False), {}
        return nn.apply_network(model, variables, batch["image"], train=True, key=moment.key)

    def example_losses(self, outputs: Any, batch: Batch, moment: Moment) -> Float[Array, " batch"]:
        """Returns one loss per example; training minimizes their weighted mean.

        Args:
            outputs: what `apply` returned.
            batch: the examples.
            moment: the step and its randomness.
        """
        raise NotImplementedError(
            f"{type(self).__name__}: define example_losses, or loss where there is not one loss an "
            "example"
        )

    def example_metrics(self, outputs: Any, batch: Batch) -> Mapping[str, Float[Array, " batch"]]:
        """Returns further numbers of each example by name, whose means are metrics.

        Args:
            outputs: what `apply` returned.
            batch: the examples.
        """
        del outputs, batch
        return {}

    def example_rows(self, outputs: Any, batch: Batch) -> Rows:
        """Returns arrays [batch, ...] by name that evaluation collects, for metrics without sums.

        Args:
            outputs: what `apply` returned.
            batch: the examples.
        """
        del outputs, batch
        return {}

    def loss(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Float[Array, ""], tuple[Sums, dict[str, Any]]]:
        """Runs the network and returns what training minimizes.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples, or a part of them.
            moment: the step, its randomness and its totals.

        Returns:
            This part's share of the batch's loss: shares of all parts and devices add up to it. And
            a pair: metric sums, and the collections that the network updated.
        """
        outputs, updated = self.apply(model, variables, batch, moment)
        losses = self.example_losses(outputs, batch, moment)
        sums = weighted_sums({"loss": losses, **self.example_metrics(outputs, batch)}, batch)
        return mean_share(sums["loss"], moment.totals["weight"]), (sums, updated)

    def evaluate(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Sums, Rows]:
        """Returns metric sums and rows of a batch, with the network in evaluation mode.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples.
            moment: of evaluation, whose `train` is False.
        """
        outputs, _ = self.apply(model, variables, batch, moment)
        losses = self.example_losses(outputs, batch, moment)
        sums = weighted_sums({"loss": losses, **self.example_metrics(outputs, batch)}, batch)
        return sums, self.example_rows(outputs, batch)

    def loss_terms(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> dict[str, Float[Array, ""]]:
        """Returns the terms of a batch's loss by name; a report compares their gradients.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples.
            moment: of evaluation, whose `train` is False.
        """
        outputs, _ = self.apply(model, variables, batch, moment)
        sums = weighted_sums({"loss": self.example_losses(outputs, batch, moment)}, batch)
        return {"loss": sums["loss"] / sums["weight"].astype(sums["loss"].dtype)}

    def metrics(
        self, sums: Mapping[str, Any], rows: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, float]:
        """Turns added-up sums, and the rows of a split, into metrics, of which `loss` is the first.

        Args:
            sums: added up over batches.
            rows: of all examples that count, in the order of the split; None in training.
        """
        # Without any example the metrics are 0, not a division by 0.
        weight = max(float(sums["weight"]), 1e-30)
        means = {name: float(value) / weight for name, value in sums.items() if name != "weight"}
        # Compiled functions sort the names of what they return: the loss is put first again.
        return {name: means[name] for name in sorted(means, key=lambda name: name != "loss")}

    def lines(self, split: str, metrics: Mapping[str, float]) -> list[tuple[str, str]]:
        """Returns the lines that a program prints of an evaluation: pairs of a name and a text.

        Args:
            split: name of the evaluated split, "test".
            metrics: what `metrics` returned.
        """
        return [(f"{split} {name}", f"{value:.6g}") for name, value in metrics.items()]
