"""Examples for runs of equal steps: few of them are repeated until there are as many as wanted."""

import numpy as np
from jaxtyping import Int

from cnnjax import data


def repeat_examples(examples: data.Examples, count: int, seed: int = 0) -> data.Examples:
    """Returns a number of examples, each of the given ones as often as any other, or once more.

    Runs on different numbers of examples then have epochs of one length: as many steps, evaluated
    as often.

    Args:
        examples: in memory.
        count: how many to return; of more examples than that, some are left out.
        seed: draws which ones come once more, or are left out.

    Raises:
        ValueError: the count is no whole number from 1 on.

    Example:
        >>> import numpy as np
        >>> few = data.from_arrays(label=np.arange(3))
        >>> np.bincount(repeat_examples(few, 7).column("label")).tolist()
        [2, 2, 3]
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"count: {count!r} was given; give a whole number from 1 on")
    order = np.random.default_rng(seed).permutation(len(examples))
    return data.choose(examples, np.sort(np.resize(order, count)))


def balanced_positions(
    labels: Int[np.ndarray, " examples"], count: int, seed: int = 0
) -> Int[np.ndarray, " chosen"]:
    """Returns positions of examples of which each class has as many as any other, or one more.

    The same seed chooses the same examples, and more of them hold the fewer ones.

    Args:
        labels: the class of each example.
        count: how many examples to choose.
        seed: draws them.

    Raises:
        ValueError: there are fewer examples, fewer than one for each class are wanted, or a class
            has too few.

    Example:
        >>> balanced_positions(np.array([0, 0, 0, 1, 1]), 4).tolist() in ([0, 1, 3, 4],
        ...     [0, 2, 3, 4], [1, 2, 3, 4])
        True
    """
    classes = np.unique(labels)
    if not len(classes) <= count <= len(labels):
        raise ValueError(
            f"labels: {count} were requested of {len(labels)} examples of {len(classes)} classes; "
            f"request from {len(classes)} to {len(labels)}"
        )
    ranks = np.empty(len(labels), np.int64)
    for label in classes:
        places = np.flatnonzero(labels == label)
        # A generator for each class: its draw does not depend on the other classes.
        order = np.random.default_rng([seed, int(label)]).permutation(len(places))
        ranks[places] = order
    # First the first of every class, then the second ones; at the end those of large classes.
    chosen = np.lexsort((labels, ranks))[:count]
    return np.sort(chosen)
