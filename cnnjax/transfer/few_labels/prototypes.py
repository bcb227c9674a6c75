"""Prototypical networks: a class is the mean of its few examples' embeddings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from cnnjax import data, nn
from cnnjax.data.examples import Spec
from cnnjax.ops.accumulation import sum_dtype
from cnnjax.tasks.base import Batch, Task
from cnnjax.tasks.sections import MetricChart
from cnnjax.tasks.sums import Rows, Sums
from cnnjax.tasks.values import Moment, Score
from cnnjax.transfer.few_labels.episodes import score_episodes
from cnnjax.transfer.few_labels.whole_batch import refuse_parts, whole


@dataclass(frozen=True)
class PrototypicalNets(Task):
    """Each training batch is an episode: some classes, a few labeled examples of each, and queries.

    The mean embedding of a class's support examples is its prototype. A query's probability of a
    class is the softmax over minus its squared Euclidean distances to the prototypes.

    Training sees the labels of the base classes, in episodes. Evaluation draws episodes of
    examples whose classes training has not seen (`choose_classes`): it sees the labels of
    the support, and counts the queries that get the class of the nearest prototype. The network
    gives an embedding [batch, values], such as a `FeatureEncoder` does.

    With `pmap` an episode is gathered from all devices. Accumulation in parts is refused.

    Attributes:
        train_form: of the training episodes; the first stream's order is the same.
        test_form: of those in evaluation; None for the same.
        episodes: number of episodes in evaluation.
        episode_seed: draws those of evaluation: the same in each evaluation.

    Raises:
        ValueError: a form is no `data.Episodes`, or there are fewer than two episodes.

    Source: Snell et al., 2017, "Prototypical networks for few-shot learning", section 2.2 and
        algorithm 1.
    """

    train_form: data.Episodes
    test_form: data.Episodes | None = None
    episodes: int = 600
    episode_seed: int = 0

    score: ClassVar[Score] = Score("accuracy", higher_is_better=True)
    part_kinds = ("image", "label")
    curves = (
        MetricChart("loss", "Loss", log=True),
        MetricChart("accuracy", "Accuracy of queries", percent=True, also="error"),
    )

    def __post_init__(self) -> None:
        """Refuses forms that are none, and too few episodes."""
        for name in ("train_form", "test_form"):
            value = getattr(self, name)
            if not isinstance(value, data.Episodes) and not (name == "test_form" and value is None):
                raise ValueError(
                    f"task.{name}: {value!r} was given; give data.Episodes(ways, shots, queries)"
                )
        if isinstance(self.episodes, bool) or not isinstance(self.episodes, int):
            raise ValueError(f"task.episodes: {self.episodes!r} was given; give a whole number")
        if self.episodes < 2:
            raise ValueError(f"task.episodes: {self.episodes} was given; give 2 or more")

    def check(self, spec: Spec, outputs: Any) -> None:
        """Refuses examples without image and label, and outputs that are no embeddings.

        Args:
            spec: the parts of the first stream's examples.
            outputs: shape and dtype of what the network gives for a batch.
        """
        for part in ("image", "label"):
            if part not in spec:
                raise ValueError(
                    f"data: episodes need the parts image and label; these examples have "
                    f"{', '.join(spec)}"
                )
        shape = getattr(outputs, "shape", None)
        if shape is None or len(shape) != 2:
            raise ValueError(
                "model: prototypes need embeddings [batch, values], such as FeatureEncoder gives; "
                f"the network gives {shape if shape is not None else type(outputs).__name__}"
            )

    def loss(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Float[Array, ""], tuple[Sums, dict[str, Any]]]:
        """Returns an episode's mean loss over its queries, shared evenly by the devices.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: an episode, in the order of `data.Episodes`.
            moment: the step and its randomness.

        Raises:
            ValueError: the batch is no episode of this form, or is cut into parts.
        """
        refuse_parts("a prototypical network", moment)
        rows, updated = self.apply(model, variables, batch, moment)
        axis = moment.axis_name
        rows, labels, weight = (
            whole(values, axis) for values in (rows, batch["label"], batch["weight"])
        )
        if len(rows) != self.train_form.batch_size:
            raise ValueError(
                f"train: an episode of {self.train_form} has {self.train_form.batch_size} "
                f"examples, and a batch has {len(rows)}; give data.Stream(examples, "
                f"{self.train_form.batch_size}, order=...) the same data.Episodes as the task"
            )
        losses, hits, counted = episode_losses(rows, labels, weight, self.train_form)
        # Each device has the whole episode: its equal share makes the sum over devices the whole.
        share = 1 if axis is None else jax.lax.axis_size(axis)
        sums = {
            "weight": counted.sum().astype(losses.dtype),
            "loss": jnp.where(counted, losses, 0).sum(),
            "accuracy": jnp.where(counted, hits, 0).sum(),
        }
        sums = {name: value / share for name, value in sums.items()}
        # An episode of which nothing could be read has a loss of 0, not 0 / 0.
        mean = sums["loss"] / jnp.maximum(share * sums["weight"], 1)
        return mean, (sums, updated)

    def evaluate(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Sums, Rows]:
        """Returns the embedding of each example as rows, from which `metrics` draws episodes.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples.
            moment: of evaluation.
        """
        embeddings = nn.apply_network(model, variables, batch["image"], train=False)
        rows = {"embedding": embeddings, "label": batch["label"]}
        return {"weight": batch["weight"].sum()}, rows

    def metrics(
        self, sums: Mapping[str, Any], rows: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, float]:
        """Returns loss and accuracy of training episodes, or accuracy and interval of evaluation.

        Args:
            sums: added up over batches.
            rows: embeddings and labels of all examples that count; None in training.

        Returns:
            In evaluation `loss`, `accuracy` and `accuracy_half`, half the length of its
            95 % interval over the episodes.
        """
        if rows is None:
            return super().metrics(sums)
        form = self.test_form or self.train_form
        found = score_episodes(
            rows["embedding"], rows["label"], form, self.episodes, self.episode_seed
        )
        return {
            "loss": found.loss,
            "accuracy": found.accuracy,
            "accuracy_half": found.half,
        }

    def lines(self, split: str, metrics: Mapping[str, float]) -> list[tuple[str, str]]:
        """Returns the line of the accuracy, with the form of the episodes and the interval.

        Args:
            split: name of the evaluated split.
            metrics: of an evaluation.
        """
        form = self.test_form or self.train_form
        name = f"{split} accuracy, {form.ways}-way {form.shots}-shot"
        return [(name, f"{metrics['accuracy']:.2%} ± {metrics['accuracy_half']:.2%}")]


def episode_losses(
    rows: Float[Array, "batch values"],
    labels: Array,
    weight: Float[Array, " batch"],
    form: data.Episodes,
) -> tuple[Float[Array, " queries"], Float[Array, " queries"], Bool[Array, " queries"]]:
    """Returns the loss of each query of an episode, and whether its nearest prototype is right.

    Args:
        rows: embeddings: first all shots, class by class, then all queries, class by class.
        labels: the class of each row; where they are not in that order, all losses are NaN.
        weight: 0 for an example that could not be read: it is in no prototype and no query.
        form: of the episode.

    Returns:
        Losses in nats, 1 or 0 for each query, and which queries count.
    """
    rows = rows.astype(sum_dtype(rows.dtype))
    count = form.ways * form.shots
    support, queries = rows[:count].reshape(form.ways, form.shots, -1), rows[count:]
    known = (weight[:count] > 0).astype(rows.dtype).reshape(form.ways, form.shots, 1)
    shots = known.sum(axis=1)
    prototypes = (support * known).sum(axis=1) / jnp.maximum(shots, 1)
    # The difference itself: expanding the square would cancel most digits of near embeddings.
    distances = jnp.square(queries[:, None] - prototypes[None]).sum(axis=-1)
    # A class of which no example could be read is no answer.
    scores = jnp.where(shots[None, :, 0] > 0, -distances, -jnp.inf)
    own = jnp.repeat(jnp.arange(form.ways), form.queries)
    right = jnp.take_along_axis(jax.nn.log_softmax(scores), own[:, None], axis=1)[:, 0]
    counted = (weight[count:] > 0) & (shots[own, 0] > 0)
    ordered = _in_order(labels, weight > 0, form)
    losses = jnp.where(ordered, -right, jnp.nan)
    return losses, (scores.argmax(axis=1) == own).astype(rows.dtype), counted


def _in_order(labels: Array, read: Bool[Array, " batch"], form: data.Episodes) -> Bool[Array, ""]:
    """Returns whether each class has its own rows, the shots first and the queries after them."""
    count = form.ways * form.shots
    shots = labels[:count].reshape(form.ways, form.shots)
    rows = jnp.concatenate([shots, labels[count:].reshape(form.ways, form.queries)], axis=1)
    known = jnp.concatenate(
        [read[:count].reshape(form.ways, -1), read[count:].reshape(form.ways, -1)], axis=1
    )
    # The highest and the lowest label of a class's rows that could be read.
    high = jnp.where(known, rows, jnp.iinfo(rows.dtype).min).max(axis=1)
    low = jnp.where(known, rows, jnp.iinfo(rows.dtype).max).min(axis=1)
    return (high <= low).all()
