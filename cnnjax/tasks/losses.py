"""The losses of classification: one loss per example, from its logits and its label.

Every function takes logits [batch, classes] and either labels, int [batch], or targets
[batch, classes] that give the share of each label in an example (rows add up to 1). It returns one
loss per example in float32, or in the logits' type if that is wider.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from cnnjax.ops.accumulation import sum_dtype

Logits = Float[Array, "batch classes"]
Targets = Float[Array, "batch classes"]
Labels = Int[Array, " batch"]
Losses = Float[Array, " batch"]

LossName = Literal["softmax", "hinge", "sigmoid", "squared"]
OwnLoss = Callable[[Logits, Targets], Losses]


def class_losses(
    logits: Logits,
    loss_function: LossName | OwnLoss,
    labels: Labels,
    targets: Targets | None = None,
    smoothing: float = 0.0,
) -> Losses:
    """Returns the losses of a batch by the loss that a configuration names.

    Args:
        logits: the network's outputs.
        loss_function: the loss's name, or a function of logits and targets.
        labels: the true classes.
        targets: the share of each label in an example; None where an example has one label.
        smoothing: see `softmax_cross_entropy`; the other losses have none.
    """
    if loss_function == "hinge":
        if targets is None:
            return multiclass_hinge(logits, labels)
        return expected_over_labels(multiclass_hinge, logits, targets)
    if targets is None:
        targets = jax.nn.one_hot(labels, logits.shape[-1])
    if callable(loss_function):
        return loss_function(logits, targets)
    loss = {
        "softmax": partial(softmax_cross_entropy, smoothing=smoothing),
        "sigmoid": sigmoid_cross_entropy,
        "squared": squared_error,
    }[loss_function]
    return loss(logits, targets)


def softmax_cross_entropy(logits: Logits, targets: Targets, smoothing: float = 0.0) -> Losses:
    """Returns minus the targets' mean log-probability, in nats.

    Args:
        logits: unnormalized log-probabilities.
        targets: the share of each label in an example.
        smoothing: share of the targets that is spread evenly over all classes (Szegedy et al. 2015,
            section 7).
    """
    logits = _wide(logits)
    targets = targets.astype(logits.dtype)
    if smoothing:
        targets = optax.smooth_labels(targets, smoothing)
    return optax.softmax_cross_entropy(logits, targets)


def multiclass_hinge(scores: Logits, labels: Labels) -> Losses:
    """Returns by how much the wrong classes come within 1 of the right one's score, added up.

    The sum over j != y of max(0, s_j - s_y + 1).

    Args:
        scores: the logits s.
        labels: the right classes y.

    Source: Weston and Watkins 1999, in the form of Stanford's course CS231n.
    """
    scores = _wide(scores)
    right = jnp.take_along_axis(scores, labels[:, None], axis=1)
    margins = jax.nn.relu(scores - right + 1)
    # The sum holds the right class too, whose margin is 1.
    return margins.sum(axis=1) - 1


def sigmoid_cross_entropy(logits: Logits, targets: Targets) -> Losses:
    """Returns the binary cross-entropies of each class against the rest, added up, in nats.

    Args:
        logits: log-odds of each class.
        targets: the share of each label in an example.
    """
    logits = _wide(logits)
    return optax.sigmoid_binary_cross_entropy(logits, targets.astype(logits.dtype)).sum(axis=1)


def squared_error(outputs: Logits, targets: Targets) -> Losses:
    """Returns the squared distance between the outputs and the targets.

    Args:
        outputs: the network's outputs.
        targets: the share of each label in an example.
    """
    outputs = _wide(outputs)
    return jnp.square(outputs - targets.astype(outputs.dtype)).sum(axis=1)


def expected_over_labels(
    loss: Callable[[Logits, Labels], Losses], logits: Logits, targets: Targets
) -> Losses:
    """Returns the mean of a loss over labels, weighted by the targets.

    A loss that is not linear in its targets, such as the hinge, needs this mean on mixed images.

    Args:
        loss: a function of logits and labels that returns one loss per example.
        logits: the network's outputs.
        targets: the weight of each label.

    Source: Zhang et al. 2018, section 2.
    """

    def of_class(label: Array) -> Losses:
        return loss(logits, jnp.full(len(logits), label, jnp.int32))

    # The loss of every class for every example, [batch, classes].
    by_class = jax.vmap(of_class, out_axes=1)(jnp.arange(logits.shape[1]))
    return (targets.astype(by_class.dtype) * by_class).sum(axis=1)


def _wide(logits: Logits) -> Logits:
    # In half precision the small losses of confident examples would be rounded to 0.
    return logits.astype(sum_dtype(logits.dtype))
