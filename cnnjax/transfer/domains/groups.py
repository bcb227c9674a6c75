"""Classification of examples from several groups, with the accuracy of each; and group-DRO."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnjax import tasks
from cnnjax.data import Spec
from cnnjax.tasks.sections import MetricChart
from cnnjax.tasks.sums import Batch, Rows, Sums, mean_share, weighted_sums
from cnnjax.tasks.values import Moment, Score
from cnnjax.transfer.domains.joined import DOMAIN

_WEIGHT, _LOSS, _RIGHT, _SHARE = "group_weight", "group_loss", "group_top1", "group_share"


@dataclass(frozen=True)
class GroupClassification(tasks.Classification):
    """Empirical risk minimization (ERM), the mean loss of examples from groups such as domains.

    It sees image, label and group of every example of the domains that it trains on, and nothing of
    a domain that is left out. Batches of `data.Stream(order="balanced", by="domain")` hold each
    group equally often.

    Further metrics are `worst_group_accuracy`, and the accuracy of each group.

    Attributes:
        group_names: a name for each group.
        by: name of the part of kind label that holds the number of an example's group.

    Raises:
        ValueError: there are no groups, or two have one name.
    """

    group_names: tuple[str, ...] = field(default=(), repr=False)
    by: str = DOMAIN

    curves: ClassVar[tuple[MetricChart, ...]] = (
        *tasks.Classification.curves,
        MetricChart("worst_group_accuracy", "Accuracy of the worst group", percent=True),
    )

    def __post_init__(self) -> None:
        """Refuses names that do not distinguish groups."""
        super().__post_init__()
        names = self.group_names
        if not names or len(set(names)) < len(names) or isinstance(names, str):
            raise ValueError(
                f"task.group_names: {names!r} was given; give a tuple with a name for each group, "
                "no two alike"
            )

    def check(self, spec: Spec, outputs: Any) -> None:
        """Refuses examples without groups, besides what `Classification` refuses.

        Args:
            spec: the parts of the first stream's examples.
            outputs: shape and dtype of what the network gives for a batch.
        """
        super().check(spec, outputs)
        if self.by not in spec or spec[self.by].kind != "label":
            raise ValueError(
                f"data: the groups are in the part {self.by!r} of kind label, but the examples "
                f"have {', '.join(spec)}; make it with domains.join_domains, or name another one "
                "with task.by"
            )

    def check_values(self, parts: Mapping[str, np.ndarray]) -> None:
        """Refuses labels without a class and groups without a name; see `Task.check_values`.

        Args:
            parts: the parts of some examples, [examples, ...].
        """
        super().check_values(parts)
        groups = parts.get(self.by)
        if groups is None:
            raise ValueError(
                f"data: there are examples without the part {self.by!r}; to evaluate those of a "
                "domain that was left out, use tasks.Classification"
            )
        if groups.size and not 0 <= groups.min() <= groups.max() < len(self.group_names):
            raise ValueError(
                f"data: groups from {groups.min()} to {groups.max()} were given for the "
                f"{len(self.group_names)} of task.group_names; name each of them"
            )

    def group_sums(self, sums: Mapping[str, Array], batch: Batch) -> Sums:
        """Returns weighted sums of numbers by group, [groups] each, and the groups' weights.

        Args:
            sums: one number for each example, [batch], by name.
            batch: gives groups and weights.
        """
        weight = batch["weight"]
        members = jax.nn.one_hot(batch[self.by], len(self.group_names), dtype=weight.dtype)
        found = {_WEIGHT: (members * weight[:, None]).sum(axis=0)}
        for name, numbers in sums.items():
            own = weight.astype(numbers.dtype)
            # A plain product would let an infinite number of weight 0 make the sum NaN.
            counted = jnp.where(own > 0, own * numbers, 0)
            found[f"group_{name}"] = (members.astype(numbers.dtype) * counted[:, None]).sum(axis=0)
        return found

    def all_sums(self, outputs: Any, losses: Float[Array, " batch"], batch: Batch) -> Sums:
        """Returns the sums over all examples, and those by group.

        Args:
            outputs: what `apply` returned.
            losses: of each example.
            batch: the examples.
        """
        numbers = {"loss": losses, **self.example_metrics(outputs, batch)}
        by_group = {name: numbers[name] for name in ("loss", "top1")}
        return {**weighted_sums(numbers, batch), **self.group_sums(by_group, batch)}

    def loss(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Float[Array, ""], tuple[Sums, dict[str, Any]]]:
        """Runs the network and returns what training minimizes; see `Task.loss`.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples, or a part of them.
            moment: the step, its randomness, its totals and the task's state.
        """
        outputs, updated = self.apply(model, variables, batch, moment)
        losses = self.example_losses(outputs, batch, moment)
        sums = self.all_sums(outputs, losses, batch)
        share, more = self.share(sums, moment)
        return share, ({**sums, **more}, updated)

    def share(self, sums: Sums, moment: Moment) -> tuple[Float[Array, ""], Sums]:
        """Returns a part's share of the loss, and further sums.

        Args:
            sums: of the part.
            moment: gives the totals of the whole batch, and the task's state.
        """
        return mean_share(sums["loss"], moment.totals["weight"]), {}

    def evaluate(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Sums, Rows]:
        """Returns metric sums and rows of a batch; see `Task.evaluate`.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples.
            moment: of evaluation, whose `train` is False.
        """
        outputs, _ = self.apply(model, variables, batch, moment)
        losses = self.example_losses(outputs, batch, moment)
        return self.all_sums(outputs, losses, batch), self.example_rows(outputs, batch)

    def metrics(
        self, sums: Mapping[str, Any], rows: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, float]:
        """Returns those of classification, the worst group's accuracy and that of each group.

        A group without examples has no accuracy, and is left out.

        Args:
            sums: added up over batches.
            rows: see `Task.metrics`.
        """
        found = super().metrics({k: v for k, v in sums.items() if k not in _OF_GROUPS}, rows)
        right, weight = (np.asarray(sums[name], np.float64) for name in (_RIGHT, _WEIGHT))
        accuracies = {
            name: float(own / count)
            for name, own, count in zip(self.group_names, right, weight, strict=True)
            if count > 0
        }
        found["worst_group_accuracy"] = min(accuracies.values(), default=0.0)
        found |= {f"accuracy_{name}": value for name, value in accuracies.items()}
        if _SHARE in sums:
            shares = np.asarray(sums[_SHARE], np.float64) / max(float(sums["weight"]), 1e-30)
            found |= {
                f"weight_{name}": float(own)
                for name, own in zip(self.group_names, shares, strict=True)
            }
        return found


_OF_GROUPS = (_WEIGHT, _LOSS, _RIGHT, _SHARE)


@dataclass(frozen=True)
class GroupDRO(GroupClassification):
    """Group distributionally robust optimization: the weighted mean of the groups' mean losses.

    It sees what `GroupClassification` sees. The weights start equal. After each step, a group's
    weight is multiplied by exp(step_size times its mean loss in the batch), and the weights are
    divided by their sum, so that the groups that are learned worst count more. They are the task's
    state. In the paper a step's losses change the weights of the same step; here those of the next
    one, since the parts of a batch and its devices know their own losses only.

    The metric `weight_NAME` is the mean weight of a group over the logged steps.

    Attributes:
        step_size: of the weights, eta in the paper; with 0 the weights stay equal.

    Raises:
        ValueError: the step size is out of range.

    Source: Sagawa et al. 2020 ("Distributionally robust neural networks for group shifts"),
    algorithm 1, with a step size of 0.01.
    """

    step_size: float = 0.01

    score: ClassVar[Score] = Score("worst_group_accuracy", higher_is_better=True)

    def __post_init__(self) -> None:
        """Refuses a step size that is out of range."""
        super().__post_init__()
        if not 0 <= self.step_size < float("inf"):
            raise ValueError(f"task.step_size: {self.step_size!r} was given; give 0 or more")

    def init_state(self) -> dict[str, Float[Array, " groups"]]:
        """Returns the logarithms of equal weights."""
        count = len(self.group_names)
        return {"log_weights": jnp.full(count, -np.log(count), jnp.float32)}

    def next_state(
        self, state: Mapping[str, Float[Array, " groups"]], sums: Mapping[str, Array]
    ) -> dict[str, Float[Array, " groups"]]:
        """Returns the logarithms of the weights after a step.

        Args:
            state: those before the step.
            sums: the step's sums by group, over the whole batch.
        """
        losses = _group_means(sums[_LOSS], sums[_WEIGHT])
        old = state["log_weights"]
        moved = old + self.step_size * losses.astype(old.dtype)
        return {"log_weights": jax.nn.log_softmax(moved)}

    def totals(self, batch: Batch) -> Mapping[str, Array]:
        """Returns the sum of the weights, over all examples and by group.

        Args:
            batch: the part of the batch.
        """
        return {**super().totals(batch), **self.group_sums({}, batch)}

    def share(self, sums: Sums, moment: Moment) -> tuple[Float[Array, ""], Sums]:
        """Returns a part's share of the weighted mean of group losses, and its weights as sums.

        Args:
            sums: of the part.
            moment: gives the totals of the whole batch, and the weights.
        """
        weights = jnp.exp(moment.state["log_weights"]).astype(sums[_LOSS].dtype)
        losses = _group_means(sums[_LOSS], moment.totals[_WEIGHT])
        return (weights * losses).sum(), {_SHARE: weights * sums["weight"].astype(weights.dtype)}


def _group_means(
    total: Float[Array, " groups"], weight: Float[Array, " groups"]
) -> Float[Array, " groups"]:
    """Returns means by group; 0 for a group without examples."""
    weight = weight.astype(total.dtype)
    return jnp.where(weight > 0, total / jnp.where(weight > 0, weight, 1), 0)
