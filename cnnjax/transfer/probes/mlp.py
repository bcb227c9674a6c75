"""A probe with hidden layers, trained on features that were computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from cnnjax import data, tasks, training
from cnnjax.nn.dense import Dense
from cnnjax.training.loop.prediction import predict_all

Matrix = Float[np.ndarray, "examples features"]
Labels = Int[np.ndarray, " examples"]
Validation = tuple[Float[np.ndarray, "validated features"], Int[np.ndarray, " validated"]]


class MLP(linen.Module):
    """Dense layers with rectifiers between them.

    Attributes:
        widths: features of the hidden layers.
        num_classes: number of outputs.
        dropout: share of the inputs of each layer that training sets to zero.
    """

    widths: Sequence[int]
    num_classes: int
    dropout: float = 0.0

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch ..."], train: bool = False
    ) -> Float[Array, "batch classes"]:
        """Returns logits.

        Args:
            x: features, in any shape.
            train: whether inputs are dropped.
        """
        x = x.reshape(len(x), -1)
        for number, width in enumerate(self.widths):
            x = linen.Dropout(self.dropout, deterministic=not train)(x)
            x = linen.relu(Dense(width, name=f"hidden{number + 1}")(x))
        x = linen.Dropout(self.dropout, deterministic=not train)(x)
        return Dense(self.num_classes, name="classifier")(x)


@dataclass(frozen=True)
class MLPProbe:
    """A trained classifier of features.

    Attributes:
        result: what its training returned.
        model: the network.
        mean: of the training features, which is subtracted.
        scale: their deviations, by which they are divided.
    """

    result: training.RunResult
    model: MLP
    mean: Float[np.ndarray, " features"]
    scale: Float[np.ndarray, " features"]

    def scores(self, features: Matrix) -> Float[np.ndarray, "examples classes"]:
        """Returns the logits of all classes.

        Args:
            features: as those that the probe was fitted to.

        Raises:
            ValueError: there is another number of features.
        """
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise ValueError(
                f"features: shape {features.shape} was given; the probe takes [examples, "
                f"{len(self.mean)}]"
            )
        inputs = _as_images(features, self.mean, self.scale)
        variables = self.result.variables
        return predict_all(lambda batch: self.model.apply(variables, jnp.asarray(batch)), inputs)

    def accuracy(self, features: Matrix, labels: Labels) -> float:
        """Returns the share of examples whose largest logit is that of their label.

        Args:
            features: of the examples.
            labels: their classes.
        """
        return float((self.scores(features).argmax(axis=1) == labels).mean())


def fit_mlp_probe(
    features: Matrix,
    labels: Labels,
    *,
    classes: int,
    widths: Sequence[int] = (256,),
    validation: Validation | None = None,
    optimizer: optax.GradientTransformation | None = None,
    epochs: int = 20,
    batch_size: int = 128,
    dropout: float = 0.0,
    seed: int = 0,
) -> MLPProbe:
    """Trains dense layers on features by `training.fit`; the features are standardized first.

    Args:
        features: of the training examples.
        labels: their classes, from 0.
        classes: number of classes.
        widths: features of the hidden layers; none for a linear classifier by gradient descent.
        validation: features and labels that are evaluated after each epoch; they choose nothing.
        optimizer: the update rule; None for AdamW at a rate of 0.001.
        epochs: passes over the examples.
        batch_size: examples of a step; all where there are fewer.
        dropout: share of the inputs of each layer that training sets to zero.
        seed: of initialization, order and dropout.

    Raises:
        ValueError: sizes do not fit each other, or a label has no class.
    """
    if features.ndim != 2 or len(features) != len(labels):
        raise ValueError(
            f"features: shape {features.shape} was given with labels of shape {labels.shape}; give "
            "[examples, features] and [examples]"
        )
    mean, scale = features.mean(axis=0), features.std(axis=0)
    # A feature that is the same everywhere stays at zero.
    scale = np.where(scale > 0, scale, 1).astype(features.dtype)

    def examples(x: Matrix, y: Labels) -> data.Examples:
        return data.from_arrays(image=_as_images(x, mean, scale), label=y)

    model = MLP(tuple(widths), classes, dropout)
    rule: Any = optimizer or optax.adamw(1e-3)
    run = training.Run(
        model=model,
        task=tasks.Classification(class_names=tuple(map(str, range(classes)))),
        train=examples(features, labels),
        test=None if validation is None else examples(*validation),
        split="validation",
        optimizer=rule,
        epochs=epochs,
        batch_size=min(batch_size, len(features)),
        seed=seed,
    )
    return MLPProbe(training.fit(run, progress=False), model, mean, scale)


def _as_images(
    features: Matrix, mean: np.ndarray, scale: np.ndarray
) -> Float[np.ndarray, "examples 1 1 features"]:
    """Returns standardized features as images of one pixel, as runs take their inputs."""
    standardized = (features - mean) / scale
    return standardized.astype(np.float32)[:, None, None, :]
