"""Image classification: its losses, its metrics from sums, and how its predictions combine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from cnnjax import models
from cnnjax.data.examples import Spec
from cnnjax.ops.accumulation import sum_dtype
from cnnjax.tasks import losses
from cnnjax.tasks.assessment import CALIBRATION_BINS, Assessment, assessment_sums
from cnnjax.tasks.base import Batch, Sums, Task
from cnnjax.tasks.class_predictions import ClassPredictions
from cnnjax.tasks.classification_report import CURVES, classification_report
from cnnjax.tasks.sections import Evaluated, MetricChart, TaskReport
from cnnjax.tasks.values import Answer, Evaluation, Moment, Score

LossName = Literal["softmax", "hinge", "sigmoid", "squared"]
OwnLoss = Callable[[Float[Array, "batch classes"], Float[Array, "batch classes"]], Array]

_WEAKEST = 3


class Heads(NamedTuple):
    """The logits of a network, and those of its auxiliary heads."""

    logits: Float[Array, "batch classes"]
    auxiliary: tuple[Float[Array, "batch classes"], ...]


@dataclass(frozen=True)
class Classification(Task):
    """Single-label classification.

    A batch has `image`, float [batch, height, width, channels], `label`, int [batch], and `weight`,
    float [batch]: 1 for an example that counts, 0 for one that fills up the batch. A batch of mixed
    images has `target` too, float [batch, classes]: how much of each label is in an image. The loss
    is taken against it; errors are counted against `label`.

    Attributes:
        class_names: a name for each label.
        loss_function: "softmax", "hinge", "sigmoid" or "squared" (see `losses`), or a function of
            logits and targets [batch, classes] that returns one loss an example.
        label_smoothing: probability mass spread evenly over all classes (Szegedy et al. 2015,
            section 7), in training alone; of "softmax" only.
        auxiliary_weight: weight, in training, of the loss of each auxiliary head, whose logits are
            the network's features "aux1", "aux2"; 0 leaves the heads out. 0.3 in GoogLeNet (Szegedy
            et al. 2014, section 5), 0.4 in the reference implementation of Inception-v3.

    Raises:
        ValueError: the loss is unknown, or does not take label smoothing.
    """

    class_names: tuple[str, ...] = field(repr=False)
    loss_function: LossName | OwnLoss = "softmax"
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.0

    score: ClassVar[Score] = Score("accuracy", higher_is_better=True)
    combines: ClassVar[bool] = True
    curves: ClassVar[tuple[MetricChart, ...]] = CURVES

    def __post_init__(self) -> None:
        """Refuses what does not fit together."""
        known = get_args(LossName)
        if not callable(self.loss_function) and self.loss_function not in known:
            raise ValueError(
                f"task.loss_function: {self.loss_function!r} is unknown; known: {', '.join(known)}"
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"task.label_smoothing: {self.label_smoothing} was given; give 0 or more, below 1"
            )
        if self.label_smoothing and self.loss_function != "softmax":
            raise ValueError(
                f"task.label_smoothing: {self.label_smoothing} was given with the loss "
                f"{self.loss_function}; it belongs to softmax: set it to 0, or "
                "task.loss_function to 'softmax'"
            )
        if self.auxiliary_weight < 0:
            raise ValueError(
                f"task.auxiliary_weight: {self.auxiliary_weight} was given; give 0 or more"
            )

    @property
    def loss_unit(self) -> str:
        """What the loss is measured in: "nats", or "" where it is a plain number."""
        return "nats" if self.loss_function in ("softmax", "sigmoid") else ""

    def outputs(self, spec: Spec) -> int:
        """See `Task.outputs`: one for each class."""
        del spec
        return len(self.class_names)

    def check(self, spec: Spec, outputs: Any) -> None:
        """See `Task.check`."""
        for part in ("image", "label"):
            if part not in spec:
                raise ValueError(
                    f"data: classification needs the parts image and label; these examples have "
                    f"{', '.join(spec)}"
                )
        shape = getattr(outputs, "shape", None)
        classes = len(self.class_names)
        if shape is None or len(shape) != 2 or shape[1] != classes:
            given = shape if shape is not None else type(outputs).__name__
            raise ValueError(
                f"model: classification of {classes} classes needs logits [batch, {classes}], but "
                f"the network gives {given}"
            )

    def apply(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        """See `Task.apply`; auxiliary heads take part in training where they have a weight.

        Raises:
            ValueError: auxiliary heads have a weight, but the network or its variables have none.
        """
        if not (moment.train and self.auxiliary_weight):
            logits, updated = super().apply(model, variables, batch, moment)
            return Heads(logits, ()), updated
        (logits, features), updated = models.apply_with_features(
            model,
            variables,
            batch["image"],
            train=True,
            rngs={"dropout": moment.key},
            mutable=[name for name in variables if name != "params"],
        )
        heads = tuple(value for name, value in features.items() if name.startswith("aux"))
        if not heads:
            raise ValueError(
                f"task.auxiliary_weight: {self.auxiliary_weight} was given, but "
                f"{type(model).__name__} has no auxiliary heads; set it to 0"
            )
        return Heads(logits, heads), dict(updated)

    def example_losses(
        self, outputs: Heads, batch: Batch, moment: Moment
    ) -> Float[Array, " batch"]:
        """See `Task.example_losses`."""
        values = self._losses(outputs.logits, batch, moment.train)
        for head in outputs.auxiliary:
            values = values + self.auxiliary_weight * self._losses(head, batch, moment.train)
        return values

    def _losses(
        self, logits: Float[Array, "batch classes"], batch: Batch, train: bool
    ) -> Float[Array, " batch"]:
        targets = batch.get("target")
        if self.loss_function == "hinge":
            if targets is None:
                return losses.multiclass_hinge(logits, batch["label"])
            return losses.expected_over_labels(losses.multiclass_hinge, logits, targets)
        if targets is None:
            targets = jax.nn.one_hot(batch["label"], logits.shape[-1])
        if callable(self.loss_function):
            return self.loss_function(logits, targets)
        smoothing = self.label_smoothing if train else 0.0
        loss = {
            "softmax": partial(losses.softmax_cross_entropy, smoothing=smoothing),
            "sigmoid": losses.sigmoid_cross_entropy,
            "squared": losses.squared_error,
        }[self.loss_function]
        return loss(logits, targets)

    def example_metrics(self, outputs: Heads, batch: Batch) -> Mapping[str, Float[Array, " batch"]]:
        """Returns whether the label is within the top 1 and the top 5.

        An example whose logits are not all finite is counted as wrong; on equal logits the lower
        class goes first.
        """
        logits = outputs.logits
        _, top = jax.lax.top_k(logits, min(5, logits.shape[-1]))
        hits = (top == batch["label"][:, None]) & jnp.isfinite(logits).all(axis=-1, keepdims=True)
        dtype = batch["weight"].dtype
        return {"top1": hits[:, 0].astype(dtype), "top5": hits.any(axis=-1).astype(dtype)}

    def metrics(
        self, sums: Mapping[str, Any], rows: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, float]:
        """Turns added-up sums into `loss` (its mean), `accuracy` and `top5_error` (shares of 1)."""
        means = super().metrics(sums, rows)
        accuracy, within = means.pop("top1"), means.pop("top5")
        return {"loss": means.pop("loss"), "accuracy": accuracy, "top5_error": 1 - within, **means}

    def lines(self, split: str, metrics: Mapping[str, float]) -> list[tuple[str, str]]:
        """See `Task.lines`."""
        more = {k: v for k, v in metrics.items() if k not in ("loss", "accuracy", "top5_error")}
        return [
            (f"{split} accuracy", f"{metrics['accuracy']:.2%}"),
            ("top-5 error", f"{metrics['top5_error']:.2%}"),
            ("loss", f"{metrics['loss']:.4f} {self.loss_unit}".rstrip()),
            *((name, f"{value:.6g}") for name, value in more.items()),
        ]

    def predict(self, outputs: Any) -> Float[Array, "batch classes"]:
        """Returns log-probabilities in float32: the log-softmax of the logits, whatever the loss.

        A row whose logits are not all finite is NaN.
        """
        logits = outputs.logits if isinstance(outputs, Heads) else outputs
        logits = logits.astype(sum_dtype(logits.dtype))
        finite = jnp.isfinite(logits).all(axis=-1, keepdims=True)
        return jnp.where(finite, jax.nn.log_softmax(logits), jnp.nan)

    def combine(
        self, predictions: Float[Array, "opinions batch classes"]
    ) -> Float[Array, "batch classes"]:
        """Returns the logarithm of the mean probabilities.

        Source: Krizhevsky et al. 2012, section 4.1 (views) and table 2 (networks).
        """
        count = predictions.shape[0]
        if count == 1:  # exactly as it is
            return predictions[0]
        return jax.nn.logsumexp(predictions, axis=0) - jnp.log(jnp.float32(count))

    def prediction_sums(self, predictions: Float[Array, "batch classes"], batch: Batch) -> Sums:
        """See `assessment_sums`."""
        return assessment_sums(predictions, batch["label"], batch["weight"])

    def assess(self, sums: Mapping[str, Any]) -> Evaluation:
        """See `Assessment`."""
        assessment = Assessment.from_sums(sums, self.class_names)
        lines = [
            ("accuracy", f"{assessment.accuracy:.2%}"),
            ("top-5 error", f"{assessment.top5_error:.2%}"),
            ("NLL", f"{assessment.nll:.4f} nats"),
            ("calibration error", f"{assessment.calibration_error:.2%} ({CALIBRATION_BINS} bins)"),
            ("weakest classes", ", ".join(_weakest(assessment)) or "none: all are right"),
            ("images", f"{assessment.examples:,}"),
        ]
        if assessment.unanswered:
            lines.append(("not a number", f"{assessment.unanswered:,} images, counted as wrong"))
        return Evaluation(assessment.metrics(), lines, assessment.as_json())

    def answer(self, prediction: Float[np.ndarray, " classes"], top: int = 3) -> Answer:
        """Returns the most probable classes with their probabilities, the best first."""
        order: list[int] = np.argsort(-prediction, kind="stable")[:top].tolist()
        # In double precision, of which fewer probabilities underflow.
        logs = prediction.astype(np.float64)
        guesses = [(self.class_names[c], float(np.exp(logs[c]))) for c in order]
        columns: dict[str, Any] = {}
        for number, (name, share) in enumerate(guesses, 1):
            columns |= {f"class_{number}": name, f"probability_{number}": share}
        return Answer(
            ", ".join(f"{self.class_names[c]} {_percent(logs[c])}" for c in order),
            {"classes": [{"name": name, "probability": share} for name, share in guesses]},
            columns,
        )

    def pictures(
        self, evaluated: Evaluated, count: int = 16
    ) -> UInt8[np.ndarray, "mistakes height width channels"]:
        """Returns the mistaken images, the one that the network is most certain of first."""
        predictions = ClassPredictions(
            np.asarray(evaluated.predictions), evaluated.parts["label"], self.class_names
        )
        return np.asarray(evaluated.images[predictions.mistakes()[:count]])

    def report_sections(self, evaluated: Evaluated) -> TaskReport:
        """See `classification_report`."""
        return classification_report(evaluated, self.class_names)


def _percent(log_share: float) -> str:
    """A share that is not zero is not printed as zero."""
    small = -np.inf < log_share < np.log(0.0001)
    return "< 0.01%" if small else f"{np.exp(log_share):.2%}"


def _weakest(assessment: Assessment) -> list[str]:
    """The classes with the least share of right answers, the worst first."""
    shares = assessment.class_accuracy
    order: list[int] = np.argsort(np.nan_to_num(shares, nan=1.0), kind="stable").tolist()
    return [
        f"{assessment.class_names[place]} {shares[place]:.2%}"
        for place in order[:_WEAKEST]
        if shares[place] < 1
    ]
