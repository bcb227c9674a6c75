"""Class probabilities of several networks or views as one: their mean, or that of their logits."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def mean_probabilities(
    predictions: Float[Array, "members batch classes"],
) -> Float[Array, "batch classes"]:
    """Returns the logarithm of the mean probabilities.

    Args:
        predictions: log-probabilities.
    """
    count = predictions.shape[0]
    if count == 1:  # a mean of one would round it
        return predictions[0]
    return jax.nn.logsumexp(predictions, axis=0) - jnp.log(jnp.float32(count))


def mean_logits(
    predictions: Float[Array, "members batch classes"],
) -> Float[Array, "batch classes"]:
    """Returns the log-probabilities of the mean logits.

    Logits and log-probabilities differ by a number for each member and example, which the softmax
    leaves out: their means give the same probabilities, the normalized geometric mean of the
    members' probabilities. A member that is certain weighs more than in a mean of probabilities.

    Args:
        predictions: log-probabilities.
    """
    return jax.nn.log_softmax(predictions.mean(axis=0))
