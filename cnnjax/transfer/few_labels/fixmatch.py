"""FixMatch: confident predictions for weak views are the labels of strong views."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from cnnjax import data, nn
from cnnjax.ops.accumulation import sum_dtype
from cnnjax.tasks.base import Batch
from cnnjax.tasks.classification import Classification
from cnnjax.tasks.classification_report import CURVES
from cnnjax.tasks.heads import Heads
from cnnjax.tasks.losses import softmax_cross_entropy
from cnnjax.tasks.sections import MetricChart
from cnnjax.tasks.sums import Sums, mean_share, weighted_sums
from cnnjax.tasks.values import Moment
from cnnjax.transfer.few_labels.hidden_labels import hide_labels

UNLABELED = "unlabeled"
"""Name of the second stream."""

VIEWS = ("weak", "strong")
"""Names of its two views."""


@dataclass(frozen=True)
class FixMatch(Classification):
    """Classification from a few labels and many images without labels.

    A batch has labeled examples, and under "unlabeled" two views of further images. Where the
    network's prediction for the weak view has a probability of `threshold` or more, its class is
    the label of the strong view:

        loss = mean of H(label, p(labeled)) + unlabeled_weight * mean of
               1[max q >= threshold] H(argmax q, p(strong)), with q = p(weak),

    where no gradient goes through q, and the second mean is over all unlabeled images. All three
    parts go through the network in one pass, so that they share batch statistics.

    It sees the labels of the first stream, and no label of the second one: `fixmatch_streams` hides
    them. The paper evaluates moving averages of the weights: `ema_decay` of the run.

    Attributes:
        threshold: the least probability of a prediction that becomes a label, 0 to 1.
        unlabeled_weight: weight of the second term, 0 or more.

    Raises:
        ValueError: one of them is out of range, or auxiliary heads are to be trained.

    Source: Sohn et al., 2020, "FixMatch: simplifying semi-supervised learning with consistency and
        confidence", equations 3 and 4.
    """

    threshold: float = 0.95
    unlabeled_weight: float = 1.0

    curves = (
        *CURVES,
        MetricChart("unlabeled_loss", "Loss of the strong views"),
        MetricChart("confident", "Weak views that gave a label", percent=True, also="unsure"),
    )

    def __post_init__(self) -> None:
        """Refuses settings that are out of range."""
        super().__post_init__()
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"task.threshold: {self.threshold} was given; give 0 to 1")
        if not self.unlabeled_weight >= 0:
            raise ValueError(
                f"task.unlabeled_weight: {self.unlabeled_weight} was given; give 0 or more"
            )
        if self.auxiliary_weight:
            raise ValueError(
                f"task.auxiliary_weight: {self.auxiliary_weight} was given; FixMatch trains no "
                "auxiliary heads: set it to 0"
            )

    def totals(self, batch: Batch) -> Mapping[str, Array]:
        """Returns the weights of both streams, added up; see `Task.totals`.

        Args:
            batch: the part of the batch.
        """
        other = {UNLABELED: batch[UNLABELED]["weight"].sum()} if UNLABELED in batch else {}
        return {**super().totals(batch), **other}

    def loss(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Float[Array, ""], tuple[Sums, dict[str, Any]]]:
        """Runs the network once on all views, and returns a part's share of both means.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: labeled examples, and a stream "unlabeled" with the views "weak" and "strong".
            moment: the step, its randomness and its totals.

        Raises:
            ValueError: the stream or one of its views is missing.
        """
        other = _checked_stream(batch)
        images = [batch["image"], *(other[view]["image"] for view in VIEWS)]
        ends = np.cumsum([len(one) for one in images])[:-1].tolist()
        outputs, updated = nn.apply_network(
            model, variables, jnp.concatenate(images), train=True, key=moment.key
        )
        labeled, weak, strong = jnp.split(outputs, ends)
        heads = Heads(labeled, ())
        losses = self.example_losses(heads, batch, moment)
        sums = weighted_sums({"loss": losses, **self.example_metrics(heads, batch)}, batch)
        distances, confident = consistency(weak, strong, self.threshold)
        values = {"unlabeled_loss": distances, "confident": confident.astype(distances.dtype)}
        apart = weighted_sums(values, other)
        share = mean_share(sums["loss"], moment.totals["weight"])
        share += self.unlabeled_weight * mean_share(
            apart["unlabeled_loss"], moment.totals[UNLABELED]
        )
        return share, (
            {**sums, **apart, "weight": sums["weight"], UNLABELED: apart["weight"]},
            updated,
        )

    def metrics(
        self, sums: Mapping[str, Any], rows: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, float]:
        """Returns those of a classification; in training also means over the unlabeled images.

        Args:
            sums: added up over batches.
            rows: see `Task.metrics`.
        """
        apart = ("unlabeled_loss", "confident")
        own = {name: value for name, value in sums.items() if name not in (*apart, UNLABELED)}
        found = super().metrics(own, rows)
        if UNLABELED in sums:
            weight = max(float(sums[UNLABELED]), 1e-30)
            found |= {name: float(sums[name]) / weight for name in apart}
        return found


def consistency(
    weak: Float[Array, "batch classes"], strong: Float[Array, "batch classes"], threshold: float
) -> tuple[Float[Array, " batch"], Bool[Array, " batch"]]:
    """Returns the loss of each strong view, 0 where its weak view gives no label.

    Args:
        weak: logits of the weak views; no gradient goes through them.
        strong: logits of the strong views.
        threshold: the least probability of a label.

    Returns:
        The losses in nats, and which weak views have given a label.

    Example:
        >>> import jax.numpy as jnp
        >>> weak = jnp.log(jnp.array([[0.98, 0.02], [0.6, 0.4]]))
        >>> losses, confident = consistency(weak, jnp.zeros((2, 2)), threshold=0.95)
        >>> [round(float(loss), 4) for loss in losses], confident.tolist()  # log 2, and none
        ([0.6931, 0.0], [True, False])
    """
    weak = jax.lax.stop_gradient(weak)
    # In half precision a probability would be rounded to the threshold.
    probabilities = jax.nn.softmax(weak.astype(sum_dtype(weak.dtype)))
    confident = probabilities.max(axis=1) >= threshold
    targets = jax.nn.one_hot(probabilities.argmax(axis=1), weak.shape[1])
    losses = softmax_cross_entropy(strong, targets)
    return losses * confident.astype(losses.dtype), confident


def fixmatch_streams(
    labeled: data.Examples,
    unlabeled: data.Examples,
    *,
    batch_size: int,
    mu: int = 7,
    weak: Any,
    strong: Any,
    epoch_steps: int = 1,
) -> dict[str, data.Stream]:
    """Returns the two streams of `FixMatch`.

    Args:
        labeled: the examples with labels; each batch has all classes equally often.
        unlabeled: the others, whose labels, if they have any, are hidden.
        batch_size: labeled examples in a batch.
        mu: unlabeled images for each labeled one.
        weak: policy of the labeled examples and of the weak views.
        strong: policy of the strong views.
        epoch_steps: the least number of steps of an epoch, after which a run is evaluated. The few
            labeled examples are repeated to fill it.

    Raises:
        ValueError: a number is less than 1.
    """
    for name, value in (("batch_size", batch_size), ("mu", mu), ("epoch_steps", epoch_steps)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}: {value!r} was given; give a whole number from 1 on")
    return {
        "labeled": repeated_stream(labeled, batch_size, weak, epoch_steps),
        UNLABELED: data.Stream(
            hide_labels(unlabeled), mu * batch_size, views={"weak": weak, "strong": strong}
        ),
    }


def repeated_stream(
    examples: data.Examples, batch_size: int, augmentation: Any, epoch_steps: int
) -> data.Stream:
    """Returns a balanced stream of a few examples, repeated so that an epoch has enough steps.

    Args:
        examples: with labels.
        batch_size: examples in a batch.
        augmentation: their policy.
        epoch_steps: the least number of steps of an epoch.
    """
    times = -(-epoch_steps * batch_size // len(examples))
    positions = np.tile(np.arange(len(examples)), times)
    return data.Stream(data.choose(examples, positions), batch_size, augmentation, order="balanced")


def _checked_stream(batch: Batch) -> Mapping[str, Any]:
    """Returns the unlabeled part of a batch."""
    other = batch.get(UNLABELED)
    if other is None or any(view not in other for view in VIEWS):
        raise ValueError(
            f"train: FixMatch needs a second stream {UNLABELED!r} with the views "
            f"{' and '.join(VIEWS)}; make both streams with fixmatch_streams"
        )
    return other
