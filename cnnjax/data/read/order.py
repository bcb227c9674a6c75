"""The order of the examples of an epoch, and of an evaluation."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32, Key


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """Returns the number of full batches of an epoch; the examples left over are not used in it.

    Args:
        num_examples: size of the training split.
        batch_size: examples in a batch, over all devices.

    Raises:
        ValueError: not even one batch can be filled.
    """
    if not 0 < batch_size <= num_examples:
        raise ValueError(
            f"batch_size: {batch_size} does not fit the {num_examples} training examples; "
            f"choose 1 to {num_examples}"
        )
    return num_examples // batch_size


def epoch_order(key: Key[Array, ""], epoch: int, num_examples: int) -> Int32[Array, " examples"]:
    """Returns the order in which one epoch takes its examples.

    Args:
        key: the run's data key.
        epoch: epoch number, from 0.
        num_examples: size of the training split.

    Returns:
        A permutation of 0 .. num_examples - 1, int32.
    """
    key = jax.random.fold_in(key, epoch)
    return jax.random.permutation(key, jnp.arange(num_examples, dtype=jnp.int32))


def evaluation_batches(
    num_examples: int, batch_size: int
) -> list[tuple[Int32[np.ndarray, " batch"], np.ndarray]]:
    """Cuts a split into batches of one size in which every example counts exactly once.

    The last batch is filled up with repeats of example 0 at weight 0.

    Args:
        num_examples: size of the split.
        batch_size: examples in a batch, over all hosts.

    Returns:
        Pairs of positions, int32 [batch_size], and weights, float32 [batch_size], 1 or 0.

    Raises:
        ValueError: the batch size is no whole number from 1 on.
    """
    # `bool` is a subclass of `int`.
    whole = isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool)
    if not whole or batch_size < 1:
        raise ValueError(f"batch_size: {batch_size!r} was given; give a whole number from 1 on")
    batches = []
    for start in range(0, num_examples, batch_size):
        positions = np.arange(start, start + batch_size, dtype=np.int32)
        weights = (positions < num_examples).astype(np.float32)
        # Repeats, since all batches must have one size to run the same compiled program.
        batches.append((np.where(positions < num_examples, positions, 0), weights))
    return batches


@dataclass(frozen=True)
class Slots:
    """The examples of the batch of one step, over all hosts.

    Attributes:
        positions: positions of the examples.
        weights: 1 for examples that count, 0 for those that fill up the batch.
    """

    positions: Int32[np.ndarray, " batch"]
    weights: Float32[np.ndarray, " batch"]


class EvaluationOrder:
    """Every example once, in the order of the split; the last batch is filled up at weight 0.

    Args:
        num_examples: size of the split.
        batch_size: examples in a batch, over all hosts.

    Raises:
        ValueError: the batch size is no whole number from 1 on.
    """

    def __init__(self, num_examples: int, batch_size: int):
        self._batches = evaluation_batches(num_examples, batch_size)
        self.batch_size = batch_size
        self.steps = len(self._batches)

    def __call__(self, step: int) -> Slots:
        """Returns the examples of the batch of one step.

        Args:
            step: the step, from 0.
        """
        return Slots(*self._batches[step])
