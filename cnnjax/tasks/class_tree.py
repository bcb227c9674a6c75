"""A tree above the classes, by which a mistake between similar classes counts less.

The cost of taking class i for class j is the height of their lowest common ancestor: the number of
edges on the longest way from it down to a class. It is 0 where i is j. The hierarchical error of a
split is its mean cost as a share of the largest one, so that it is at most the top-1 error.

WordNet is no tree: a synset may have several parents. All are kept. Of two classes' common
ancestors, the one of the least height is the lowest.

Source: Deng, Berg, Li and Fei-Fei, 2010, "What does classifying more than 10,000 image categories
tell us?" (the hierarchical cost); Bertinetto et al., 2020, "Making better mistakes"
(the mean height of mistakes).

Example:
    >>> from cnnjax.tasks.class_tree import ClassTree
    >>> tree = ClassTree({"cat": ("pet",), "dog": ("pet",), "pet": ("thing",), "car": ("thing",)})
    >>> tree.costs(("cat", "dog", "car"))
    array([[0, 1, 2],
           [1, 0, 2],
           [2, 2, 0]])
"""

import functools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int

from cnnjax.data.classes import imagenet_names, imagenet_tree
from cnnjax.nearest import did_you_mean

WORDNET = "wordnet"
"""The name of the tree of ImageNet's 1,000 classes."""


@dataclass(frozen=True, eq=False)
class ClassTree:
    """Classes and their ancestors.

    Attributes:
        parents: the parents of each node, by the node's name; a node without parents, or one that
            is named as a parent alone, is the root.
        aliases: further names of nodes, with the nodes' own.

    Raises:
        ValueError: a node is its own ancestor, or there is not one root.
    """

    parents: Mapping[str, tuple[str, ...]] = field(repr=False)
    aliases: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuses cycles, and several roots."""
        if not self.parents:
            raise ValueError("class_tree: it is empty; give at least one class and its parent")
        for name, above in self.parents.items():
            if isinstance(above, str):
                raise ValueError(
                    f"class_tree: the parents of {name!r} are {above!r}; give a tuple of names, "
                    f"({above!r},)"
                )
        order = list(_upwards(self.parents))
        roots = [name for name in order if not self.parents.get(name)]
        if len(roots) > 1:
            raise ValueError(
                f"class_tree: {len(roots)} nodes have no parent: {', '.join(roots[:5])}; give all "
                "but one a parent, so that any two classes have a common ancestor"
            )

    def costs(self, class_names: Sequence[str]) -> Int[np.ndarray, "classes classes"]:
        """Returns the cost of each confusion, in levels: 0 on the diagonal.

        Heights are counted in the tree of these classes and their ancestors alone.

        Args:
            class_names: the classes, as nodes or by aliases.

        Raises:
            ValueError: a class is not in the tree.
        """
        nodes = [self._node(name) for name in class_names]
        kept: dict[str, tuple[str, ...]] = {}
        queue = list(nodes)
        for name in queue:
            if name not in kept:
                kept[name] = tuple(self.parents.get(name, ()))
                queue.extend(kept[name])
        heights, below = dict.fromkeys(kept, 0), {name: set[int]() for name in kept}
        for label, name in enumerate(nodes):
            below[name].add(label)
        for name in _upwards(kept):
            for parent in kept[name]:
                heights[parent] = max(heights[parent], heights[name] + 1)
                below[parent] |= below[name]
        costs = np.zeros((len(nodes), len(nodes)), np.int64)
        # A lower ancestor replaces what higher ones have set.
        for name in sorted(kept, key=heights.__getitem__, reverse=True):
            labels = sorted(below[name])
            costs[np.ix_(labels, labels)] = heights[name]
        np.fill_diagonal(costs, 0)
        return costs

    def _node(self, name: str) -> str:
        node = self.aliases.get(name, name)
        if node in self.parents:
            return node
        known = [*self.aliases, *self.parents]
        hint = did_you_mean(name, known).strip() or f"it has {', '.join(known[:5])}, ..."
        raise ValueError(f"class_tree: the class {name!r} is not in the tree; {hint}")


def _upwards(parents: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yields all nodes, each after all of its children.

    Raises:
        ValueError: a node is its own ancestor.
    """
    children: dict[str, int] = dict.fromkeys(parents, 0)
    for names in parents.values():
        for name in names:
            children[name] = children.get(name, 0) + 1
    ready = [name for name, count in children.items() if count == 0]
    done = 0
    while ready:
        name = ready.pop()
        done += 1
        yield name
        for parent in parents.get(name, ()):
            children[parent] -= 1
            if children[parent] == 0:
                ready.append(parent)
    if done < len(children):
        raise ValueError(f"class_tree: {' -> '.join(_cycle(parents, children))} is a cycle")


def _cycle(parents: Mapping[str, Sequence[str]], left: Mapping[str, int]) -> list[str]:
    """Returns the nodes of a cycle, the first one again at the end."""
    # Of the nodes that are left, each has a child that is left: the way down must come back.
    below = {p: name for name in parents if left[name] for p in parents[name]}
    way = [next(name for name, count in left.items() if count)]
    while way[-1] not in way[:-1]:
        way.append(below[way[-1]])
    return way[way.index(way[-1]) :][::-1]


def read_class_tree(path: str | Path) -> ClassTree:
    """Returns the tree of a file.

    A text file has a line for each node: its name, and after tabs its parents. Empty lines and
    lines that start with `#` are left out. A file that ends in `.json` holds an object: the parent
    of each node by its name, or a list of parents.

    Args:
        path: the file, or "wordnet" for the tree of ImageNet's classes, which are known by their
            English names and by their synsets.

    Raises:
        ValueError: there is no such file, it is not of this form, or its tree is refused.
    """
    if path == WORDNET:
        return _wordnet()
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"class_tree: {path} cannot be read: {reason}; give {WORDNET!r}, or a file of nodes "
            "and parents"
        ) from error
    try:
        return ClassTree(_of_json(text) if path.suffix == ".json" else _of_lines(text))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def class_costs(
    tree: ClassTree | str | Path, class_names: Sequence[str]
) -> Int[np.ndarray, "classes classes"] | None:
    """Returns the costs of a tree that a task names; None where it names none.

    Args:
        tree: a tree, the path of its file, "wordnet", or "" for none.
        class_names: the classes.

    Raises:
        ValueError: the file is refused, or a class is not in the tree.
    """
    if isinstance(tree, ClassTree):
        return tree.costs(class_names)
    if not isinstance(tree, str | Path):
        raise ValueError(
            f"class_tree: {tree!r} was given; give {WORDNET!r}, the path of a file or a ClassTree"
        )
    return read_class_tree(tree).costs(class_names) if tree != "" else None


def _of_lines(text: str) -> dict[str, tuple[str, ...]]:
    parents: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, *above = (part.strip() for part in line.split("\t"))
        if not name or not all(above):
            raise ValueError(f"class_tree: line {number} has an empty name: {line!r}")
        if name in parents:
            raise ValueError(
                f"class_tree: line {number} gives {name!r} a second time; write all of its parents "
                "on one line, after tabs"
            )
        parents[name] = tuple(above)
    return parents


def _of_json(text: str) -> dict[str, tuple[str, ...]]:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        # JSON itself would keep the last of two values.
        values: dict[str, object] = {}
        for name, value in pairs:
            if name in values:
                raise ValueError(f"class_tree: {name!r} is given a second time")
            values[name] = value
        return values

    values = json.loads(text, object_pairs_hook=once)
    if not isinstance(values, dict):
        raise ValueError("class_tree: the file must hold an object: parents by node")
    parents = {}
    for name, above in values.items():
        given = [above] if isinstance(above, str) else [] if above is None else above
        if not isinstance(given, list) or not all(isinstance(p, str) and p for p in given):
            raise ValueError(
                f"class_tree: the parent of {name!r} is {above!r}; give a name, a list of names, "
                "or null for the root"
            )
        parents[name] = tuple(given)
    return parents


@functools.cache
def _wordnet() -> ClassTree:
    parents = _of_lines(imagenet_tree())
    # The classes come first, in label order.
    return ClassTree(parents, dict(zip(imagenet_names(), parents, strict=False)))


@dataclass(frozen=True)
class HierarchicalError:
    """How far wrong predictions are in a tree of classes.

    Attributes:
        error: mean cost of all examples as a share of the largest cost, from 0 to 1.
        mistake_levels: mean cost of the mistakes alone, in levels; NaN where there are none.
        levels: the largest cost of the tree, which an example without a prediction has.
    """

    error: float
    mistake_levels: float
    levels: int


def hierarchical_error(
    counts: Int[np.ndarray, "classes predictions"], costs: Int[np.ndarray, "classes classes"]
) -> HierarchicalError:
    """Returns the hierarchical error of a split from its confusions, whole numbers.

    Args:
        counts: the number of examples of each class (row) by the class predicted (column); a last
            column counts those without a prediction.
        costs: see `ClassTree.costs`.

    Example:
        >>> import numpy as np
        >>> from cnnjax.tasks.class_tree import hierarchical_error
        >>> counts = np.array([[8, 1, 1, 0], [0, 10, 0, 0], [0, 0, 10, 0]])
        >>> costs = np.array([[0, 1, 2], [1, 0, 2], [2, 2, 0]])
        >>> hierarchical_error(counts, costs)
        HierarchicalError(error=0.05, mistake_levels=1.5, levels=2)
    """
    levels = int(costs.max())
    without = counts[:, costs.shape[1] :].sum()
    total = int((counts[:, : costs.shape[1]] * costs).sum() + levels * without)
    examples = int(counts.sum())
    mistakes = examples - int(np.trace(counts))
    return HierarchicalError(
        error=total / (max(examples, 1) * max(levels, 1)),
        mistake_levels=total / mistakes if mistakes else math.nan,
        levels=levels,
    )
