"""Which examples keep their labels, and which classes a network has never seen."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from cnnjax import data

Positions = Int[np.ndarray, " chosen"]


class LabelSplit(NamedTuple):
    """A set whose examples keep their labels in part.

    Attributes:
        labeled: positions of the examples that keep them, in rising order.
        unlabeled: those of all others.
    """

    labeled: Positions
    unlabeled: Positions


def split_labels(labels: Int[np.ndarray, " examples"], per_class: int, seed: int = 0) -> LabelSplit:
    """Chooses some examples of each class that keep their labels, and all others.

    The same seed chooses the same examples, and more of them hold the fewer ones: the 4 labels of a
    class are among its 40.

    Args:
        labels: the class of each example.
        per_class: labels kept of each class.
        seed: draws them.

    Raises:
        ValueError: a class has fewer examples, or no example would be left without its label.

    Example:
        >>> import numpy as np
        >>> split = split_labels(np.arange(12) % 3, per_class=2, seed=0)
        >>> len(split.labeled), len(split.unlabeled), np.bincount(split.labeled % 3).tolist()
        (6, 6, [2, 2, 2])
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise ValueError(
            f"labels: {labels.dtype} {labels.shape} was given; give the class of each example, "
            "such as examples.column('label')"
        )
    _check_count("per_class", per_class)
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < per_class:
        few = int(counts.argmin())
        raise ValueError(
            f"per_class: {per_class} labels of each class were requested, but class {classes[few]} "
            f"has {counts[few]} examples; request {counts.min()} or fewer"
        )
    if per_class * len(classes) == len(labels):
        raise ValueError(
            f"per_class: with {per_class} labels of each class none of the {len(labels)} examples "
            "is left without a label; request fewer"
        )
    chosen = []
    for label in classes:
        # A generator for each class: its draw does not depend on the other classes.
        generator = np.random.default_rng([seed, int(label)])
        chosen.append(generator.permutation(np.flatnonzero(labels == label))[:per_class])
    labeled = np.sort(np.concatenate(chosen))
    return LabelSplit(labeled, np.setdiff1d(np.arange(len(labels)), labeled))


def split_classes(
    classes: Sequence[int], sizes: Mapping[str, int], seed: int = 0
) -> dict[str, tuple[int, ...]]:
    """Divides classes among splits that have none in common.

    Args:
        classes: labels of the classes.
        sizes: number of classes by the name of the split, such as `{"base": 6, "novel": 4}`.
        seed: draws them.

    Returns:
        Labels by the name of the split, in rising order.

    Raises:
        ValueError: a class is given twice, a size is no whole number from 1 on, or the sizes do not
            add up to the number of classes, so that a class would be in no split.

    Example:
        >>> found = split_classes(range(10), {"base": 6, "novel": 4}, seed=0)
        >>> sorted(found["base"] + found["novel"]) == list(range(10))
        True
    """
    known = [int(label) for label in classes]
    if len(set(known)) < len(known):
        raise ValueError(f"classes: {known} was given; give each class once")
    for name, size in sizes.items():
        _check_count(f"sizes.{name}", size)
    total = sum(sizes.values())
    if total != len(known):
        more = (
            f"{total - len(known)} too many"
            if total > len(known)
            else (f"{len(known) - total} would be in no split")
        )
        raise ValueError(
            f"sizes: {dict(sizes)} are {total} classes of {len(known)}: {more}; give sizes that "
            f"add up to {len(known)}"
        )
    order = np.random.default_rng([seed, len(known)]).permutation(known).tolist()
    found, start = {}, 0
    for name, size in sizes.items():
        found[name] = tuple(sorted(order[start : start + size]))
        start += size
    return found


def choose_classes(examples: data.Examples, classes: Sequence[int]) -> data.Examples:
    """Returns the examples of some classes, which are numbered anew from 0, in the order given.

    Args:
        examples: with a part `label`.
        classes: the labels.

    Raises:
        ValueError: a class is given twice, or has no example.
    """
    wanted = [int(label) for label in classes]
    if len(set(wanted)) < len(wanted) or not wanted:
        raise ValueError(f"classes: {wanted} was given; give each class once, and one at least")
    labels = examples.column("label")
    if absent := sorted(set(wanted) - set(labels.tolist())):
        raise ValueError(
            f"classes: class {absent[0]} has no example; the examples are of the classes "
            f"{sorted(set(labels.tolist()))}"
        )
    chosen = data.choose(examples, np.flatnonzero(np.isin(labels, wanted)))
    # Numbers beyond all new labels mark those that cannot come up here.
    renumbered = [len(wanted)] * (max(int(labels.max()), *wanted) + 1)
    for new, old in enumerate(wanted):
        renumbered[old] = new
    if chosen.arrays is None:
        return data.RelabeledExamples(chosen, renumbered)
    # Kept as arrays, so that they stay on the device.
    arrays = {**chosen.arrays, "label": np.asarray(renumbered, np.int32)[chosen.column("label")]}
    kinds: dict[str, data.Kind] = {name: part.kind for name, part in chosen.spec.items()}
    return data.ArrayExamples(arrays, kinds, {**chosen.identity(), "labels": wanted})


def _check_count(name: str, value: int) -> None:
    # To Python True is a whole number.
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name}: {value!r} was given; give a whole number from 1 on")
