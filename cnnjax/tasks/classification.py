"""Image classification: its losses, its metrics from sums, and how its predictions combine."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from cnnjax.data.examples import Spec
from cnnjax.ops.accumulation import sum_dtype
from cnnjax.tasks.assessment import assessment_sums
from cnnjax.tasks.base import Batch, Sums, Task
from cnnjax.tasks.class_averages import mean_logits, mean_probabilities
from cnnjax.tasks.class_checks import check_examples, check_labels, check_settings
from cnnjax.tasks.class_predictions import ClassPredictions
from cnnjax.tasks.class_text import class_answer, class_evaluation
from cnnjax.tasks.class_tree import ClassTree, class_costs
from cnnjax.tasks.classification_report import CURVES, classification_report
from cnnjax.tasks.heads import Heads, apply_in_training, head_loss_terms
from cnnjax.tasks.losses import LossName, OwnLoss, class_losses
from cnnjax.tasks.sections import Evaluated, MetricChart, TaskReport
from cnnjax.tasks.values import Answer, Evaluation, Moment, Score


@dataclass(frozen=True)
class Classification(Task):
    """Single-label classification.

    A batch has `image`, float [batch, height, width, channels], `label`, int [batch], and `weight`,
    float [batch]: 1 for an example that counts, 0 for one that fills up the batch. A batch of mixed
    images has `target` too, float [batch, classes]: the share of each label in an image. The loss
    compares outputs with `target`; errors are counted against `label`.

    Attributes:
        class_names: a name for each label.
        loss_function: "softmax", "hinge", "sigmoid" or "squared" (see `losses`), or a function of
            logits and targets [batch, classes] that returns one loss per example.
        label_smoothing: probability mass spread evenly over all classes (Szegedy et al. 2015,
            section 7), in training only; for "softmax" only.
        auxiliary_weight: weight, in training, of the loss of each auxiliary head, whose logits are
            the network's features "aux1", "aux2"; 0 leaves the heads out. 0.3 in GoogLeNet (Szegedy
            et al. 2014, section 5), 0.4 in the reference implementation of Inception-v3.
        class_tree: "wordnet", the path of a file or a `ClassTree`, for the hierarchical error, by
            which a mistake between similar classes counts less; "" for none.

    Raises:
        ValueError: the loss is unknown, or does not take label smoothing; or a class is not in the
            tree.
    """

    class_names: tuple[str, ...] = field(repr=False)
    loss_function: LossName | OwnLoss = "softmax"
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.0
    class_tree: str | ClassTree = ""

    score: ClassVar[Score] = Score("accuracy", higher_is_better=True)
    part_kinds = ("image", "label")
    combines: ClassVar[bool] = True
    averages: ClassVar = {"logits": mean_logits}
    curves: ClassVar[tuple[MetricChart, ...]] = CURVES

    def __post_init__(self) -> None:
        """Refuses an unknown loss, and settings that are out of range."""
        check_settings(self.loss_function, self.label_smoothing, self.auxiliary_weight)
        # Read now, so that a class without a place in the tree is refused before any work.
        _ = self.costs

    @functools.cached_property
    def costs(self) -> Int[np.ndarray, "classes classes"] | None:
        """The levels of the class tree by which each confusion is wrong; None without a tree."""
        return class_costs(self.class_tree, self.class_names)

    @property
    def loss_unit(self) -> str:
        """The unit of the loss: "nats", or "" where it is a plain number."""
        return "nats" if self.loss_function in ("softmax", "sigmoid") else ""

    def outputs(self, spec: Spec) -> int:
        """Returns the number of classes.

        Args:
            spec: not used.
        """
        del spec
        return len(self.class_names)

    def check(self, spec: Spec, outputs: Any) -> None:
        """Refuses examples without image and label, and outputs that are no logits of the classes.

        Args:
            spec: the parts of the first stream's examples.
            outputs: shape and dtype of what the network gives for a batch.
        """
        check_examples(spec, outputs, len(self.class_names))

    def check_values(self, parts: Mapping[str, np.ndarray]) -> None:
        """Refuses labels without a class, whose loss would be 0; see `Task.check_values`.

        Args:
            parts: the parts of some examples, [examples, ...].
        """
        check_labels(parts, len(self.class_names))

    def apply(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        """Runs the network, in training with its auxiliary heads where they have a weight.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples, or a part of them.
            moment: the step and its randomness.

        Returns:
            `Heads`, and the collections that the network updated (none in evaluation).
        """
        if not (moment.train and self.auxiliary_weight):
            logits, updated = super().apply(model, variables, batch, moment)
            return Heads(logits, ()), updated
        return apply_in_training(
            model, variables, batch["image"], moment.key, self.auxiliary_weight
        )

    def example_losses(
        self, outputs: Heads, batch: Batch, moment: Moment
    ) -> Float[Array, " batch"]:
        """Returns the loss of each example, with the weighted losses of the auxiliary heads.

        Args:
            outputs: what `apply` returned.
            batch: the examples.
            moment: the step: label smoothing is on in training only.
        """
        labels, targets = batch["label"], batch.get("target")
        smoothing = self.label_smoothing if moment.train else 0.0
        settings = (self.loss_function, labels, targets, smoothing)
        values = class_losses(outputs.logits, *settings)
        for head in outputs.auxiliary:
            values = values + self.auxiliary_weight * class_losses(head, *settings)
        return values

    def loss_terms(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> dict[str, Float[Array, ""]]:
        """Returns the loss; where auxiliary heads have a weight, of the output and of each head.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples.
            moment: of evaluation, whose `train` is False.
        """
        if not self.auxiliary_weight:
            return super().loss_terms(model, variables, batch, moment)
        return head_loss_terms(model, variables, batch, self.auxiliary_weight, self.loss_function)

    def example_metrics(self, outputs: Heads, batch: Batch) -> Mapping[str, Float[Array, " batch"]]:
        """Returns whether the label is the first of the guesses, and whether it is in the top 5.

        An example whose logits are not all finite is counted as wrong; of equal logits the lower
        class comes first.

        Args:
            outputs: what `apply` returned.
            batch: the examples.

        Returns:
            1 or 0 for each example, under "top1" and "top5"; with a class tree, also the "levels"
            by which the most probable class is wrong.
        """
        logits = outputs.logits
        # `top_k` ranks NaN and infinity too: `isfinite` keeps such examples from being right.
        _, top = jax.lax.top_k(logits, min(5, logits.shape[-1]))
        finite = jnp.isfinite(logits).all(axis=-1, keepdims=True)
        hits = (top == batch["label"][:, None]) & finite
        dtype = batch["weight"].dtype
        found = {"top1": hits[:, 0].astype(dtype), "top5": hits.any(axis=-1).astype(dtype)}
        if self.costs is None:
            return found
        # Whole numbers, whose sum is exact in any order.
        costs = jnp.asarray(self.costs, dtype)
        levels = jnp.where(finite[:, 0], costs[batch["label"], top[:, 0]], costs.max())
        return {**found, "levels": levels}

    def metrics(
        self, sums: Mapping[str, Any], rows: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, float]:
        """Returns `loss` (its mean), `accuracy`, errors (shares of 1), and further means.

        Args:
            sums: added up over batches.
            rows: see `Task.metrics`.
        """
        means = super().metrics(sums, rows)
        accuracy, within = means.pop("top1"), means.pop("top5")
        if self.costs is not None:
            means["hierarchical_error"] = means.pop("levels") / max(self.costs.max(), 1)
        return {"loss": means.pop("loss"), "accuracy": accuracy, "top5_error": 1 - within, **means}

    def lines(self, split: str, metrics: Mapping[str, float]) -> list[tuple[str, str]]:
        """Returns accuracy and top-5 error in per cent, the loss with its unit, further metrics.

        Args:
            split: name of the evaluated split.
            metrics: what `metrics` returned.
        """
        more = {k: v for k, v in metrics.items() if k not in ("loss", "accuracy", "top5_error")}
        return [
            (f"{split} accuracy", f"{metrics['accuracy']:.2%}"),
            ("top-5 error", f"{metrics['top5_error']:.2%}"),
            ("loss", f"{metrics['loss']:.4f} {self.loss_unit}".rstrip()),
            *((name, f"{value:.6g}") for name, value in more.items()),
        ]

    def predict(self, outputs: Any) -> Float[Array, "batch classes"]:
        """Returns the log-softmax of the logits in float32; NaN for a row that is not all finite.

        Args:
            outputs: logits [batch, classes], or `Heads`.
        """
        logits = outputs.logits if isinstance(outputs, Heads) else outputs
        logits = logits.astype(sum_dtype(logits.dtype))
        # An infinite logit alone would make some classes NaN and others not.
        finite = jnp.isfinite(logits).all(axis=-1, keepdims=True)
        return jnp.where(finite, jax.nn.log_softmax(logits), jnp.nan)

    def combine(
        self, predictions: Float[Array, "members batch classes"]
    ) -> Float[Array, "batch classes"]:
        """Returns the logarithm of the mean probabilities.

        Args:
            predictions: log-probabilities, one member for each view of each network.

        Source: Krizhevsky et al. 2012, section 4.1 (views) and table 2 (networks).
        """
        return mean_probabilities(predictions)

    def prediction_sums(self, predictions: Float[Array, "batch classes"], batch: Batch) -> Sums:
        """Returns `assessment_sums`.

        Args:
            predictions: log-probabilities.
            batch: gives the labels and the weights.
        """
        return assessment_sums(predictions, batch["label"], batch["weight"])

    def assess(self, sums: Mapping[str, Any]) -> Evaluation:
        """Returns errors, likelihood, calibration and confusions of a split; see `Assessment`.

        Args:
            sums: added-up `prediction_sums`.

        Raises:
            ValueError: no example counted.
        """
        return class_evaluation(sums, self.class_names, self.costs)

    def answer(self, prediction: Float[np.ndarray, " classes"], top: int = 3) -> Answer:
        """Returns the most probable classes with their probabilities, the best first.

        Args:
            prediction: log-probabilities of one example.
            top: how many classes to name.
        """
        return class_answer(prediction, self.class_names, top)

    def pictures(
        self, evaluated: Evaluated, count: int = 16
    ) -> Num[np.ndarray, "mistakes height width channels"]:
        """Returns the images whose class is predicted wrongly, the most certain mistake first.

        Args:
            evaluated: predictions and examples of the evaluated split.
            count: the most images to return.
        """
        predictions = ClassPredictions(
            np.asarray(evaluated.predictions), evaluated.parts["label"], self.class_names
        )
        return np.asarray(evaluated.images[predictions.mistakes()[:count]])

    def report_sections(self, evaluated: Evaluated) -> TaskReport:
        """Returns figures, confusions, classes, calibration and mistakes as data for a page.

        Args:
            evaluated: predictions and examples of the evaluated split.
        """
        return classification_report(evaluated, self.class_names, self.costs)
