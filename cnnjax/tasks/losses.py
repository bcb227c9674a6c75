"""What classification minimizes: one loss an example, from its logits and its label.

Every function takes logits [batch, classes] and either labels, int [batch], or targets
[batch, classes] that say how much of each label an example has (rows add up to 1), and returns one
loss an example in float32, or wider if the logits are.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from cnnjax.ops.accumulation import sum_dtype

Logits = Float[Array, "batch classes"]
Targets = Float[Array, "batch classes"]
Labels = Int[Array, " batch"]
Losses = Float[Array, " batch"]


def softmax_cross_entropy(logits: Logits, targets: Targets, smoothing: float = 0.0) -> Losses:
    """Returns minus the targets' mean log-probability, in nats.

    Args:
        logits: unnormalized log-probabilities.
        targets: how much of each label an example has.
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

    The sum over j != y of max(0, s_j - s_y + 1): the support vector machine for several classes of
    Weston and Watkins (1999), as Stanford's course CS231n has it.
    """
    scores = _wide(scores)
    right = jnp.take_along_axis(scores, labels[:, None], axis=1)
    margins = jax.nn.relu(scores - right + 1)
    # The right class itself has a margin of 1.
    return margins.sum(axis=1) - 1


def sigmoid_cross_entropy(logits: Logits, targets: Targets) -> Losses:
    """Returns the binary cross-entropies of one class against the rest, added up, in nats."""
    logits = _wide(logits)
    return optax.sigmoid_binary_cross_entropy(logits, targets.astype(logits.dtype)).sum(axis=1)


def squared_error(outputs: Logits, targets: Targets) -> Losses:
    """Returns the squared distance between the outputs and the targets."""
    outputs = _wide(outputs)
    return jnp.square(outputs - targets.astype(outputs.dtype)).sum(axis=1)


def expected_over_labels(
    loss: Callable[[Logits, Labels], Losses], logits: Logits, targets: Targets
) -> Losses:
    """Returns the mean of a loss over labels, weighted by the targets.

    For a loss that is not linear in its targets, such as the hinge: this is what training on mixed
    images minimizes (Zhang et al. 2018, section 2).
    """

    def of_class(label: Array) -> Losses:
        return loss(logits, jnp.full(len(logits), label, jnp.int32))

    by_class = jax.vmap(of_class, out_axes=1)(jnp.arange(logits.shape[1]))
    return (targets.astype(by_class.dtype) * by_class).sum(axis=1)


def _wide(logits: Logits) -> Logits:
    # Half-precision logits would lose what the loss has to say about confident examples.
    return logits.astype(sum_dtype(logits.dtype))
