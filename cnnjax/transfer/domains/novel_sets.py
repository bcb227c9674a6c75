"""The sets of base and novel classes: nothing of a novel class among the base, few labels of it."""

from typing import NamedTuple

import numpy as np

from cnnjax import data
from cnnjax.transfer.domains.base_to_novel import ClassSplit
from cnnjax.transfer.few_labels import split_labels


class NovelSets(NamedTuple):
    """What a network is trained on, and what its features are tested on.

    Attributes:
        base: labeled examples of the base classes to train on.
        held_out: further ones, for validation.
        labeled: the few labeled examples of the novel classes.
        test: test examples of the novel classes.
    """

    base: data.Examples
    held_out: data.Examples
    labeled: data.Examples
    test: data.Examples


def novel_sets(
    train: data.Examples, test: data.Examples, split: ClassSplit, per_class: int, seed: int = 0
) -> NovelSets:
    """Returns the sets of base and novel classes, a fifth of the base held out.

    Args:
        train: of the classes of both splits; examples of all others are left out.
        test: likewise.
        split: the classes.
        per_class: labels of each novel class.
        seed: draws the labels and what is held out.

    Raises:
        ValueError: a class has no example, or a novel class has too few.

    Example:
        >>> import numpy as np
        >>> from cnnjax import data
        >>> from cnnjax.transfer import domains
        >>> images = np.zeros((60, 8, 8, 1), np.uint8)
        >>> whole = data.from_arrays(image=images, label=np.arange(60) % 6)
        >>> split = domains.ClassSplit(base=(0, 1, 2), novel=(3, 4))
        >>> [len(own) for own in domains.novel_sets(whole, whole, split, per_class=5)]
        [24, 6, 10, 20]
    """
    known = [*split.base, *split.novel]
    train, test = (
        data.choose(own, np.flatnonzero(np.isin(own.column("label"), known)))
        for own in (train, test)
    )
    base, novel = split.choose(train, "base"), split.choose(train, "novel")
    few = split_labels(novel.column("label"), per_class, seed)
    order = np.random.default_rng(seed).permutation(len(base))
    fifth = len(base) // 5
    return NovelSets(
        data.choose(base, order[fifth:]),
        data.choose(base, order[:fifth]),
        data.choose(novel, few.labeled),
        split.choose(test, "novel"),
    )
