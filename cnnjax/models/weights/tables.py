"""Rules that map a layer of ours to its name in another library, and the slots that follow.

A table is data: for a family of networks, (pattern, name) for every kind of layer. A table and a
tree of variables determine the `Slot`s, one for each array of the other library: its name, its
layout and its place here. Loading fills the slots, exporting reads them.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jax import tree_util

from cnnjax.models.net import Net
from cnnjax.models.weights.layouts import CONV, DENSE, VECTOR, Layout

# A convolution's or dense layer's and batch norm's arrays: our name, theirs.
LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}

# The blocks of a stage after the first, which `scan` stacks.
_SCANNED = re.compile(r"(?P<stage>stage\d+)_rest/(?P<layer>.+)")


@dataclasses.dataclass(frozen=True)
class Rule:
    """Where a layer, or a kind of layer, is in the other library.

    Attributes:
        pattern: a regular expression for the whole path of our layer, such as
            "stage1_block2/conv1", with numbered groups.
        name: the other library's name; "{1}" is the first group, and "{1-1}" the first group minus
            one, because blocks count from one here and from zero there.
        dense: layout of the layer's kernel if it is a dense one.
    """

    pattern: str
    name: str
    dense: Layout = DENSE

    def named(self, layer: str) -> str | None:
        """Returns the other library's name of a layer, or None if this rule is for others.

        Args:
            layer: the whole path of our layer.
        """
        found = re.fullmatch(self.pattern, layer)
        if found is None:
            return None

        def fill(place: re.Match[str]) -> str:
            text = found[int(place[1])]
            return str(int(text) - 1) if place[2] else text

        return re.sub(r"\{(\d)(-1)?\}", fill, self.name)


@dataclasses.dataclass(frozen=True)
class Table:
    """A family of networks in another library.

    Attributes:
        net: our class; subclasses too.
        rules: the rules, or a function that makes them for a network.
        fields: values of the network's fields with which it computes the same as the other
            library's. Fields that only change shapes or dropout are not named.
        input_size: height, width and channels of the images that the dense layers are made for.
        remedy: how to make a network with these fields.
        heads: prefixes of the names of auxiliary heads.
        older: (pattern, replacement) of names in older files of the library.
        parts: such fields of the network's parts, by the part's name.
    """

    net: type[Net]
    rules: tuple[Rule, ...] | Callable[[Any], tuple[Rule, ...]]
    fields: Mapping[str, Any]
    input_size: tuple[int, int, int]
    remedy: str
    heads: tuple[str, ...] = ()
    older: tuple[tuple[str, str], ...] = ()
    parts: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def different(self, model: Net) -> dict[str, Any]:
        """Returns the fields with which a network computes something else, with their values.

        Args:
            model: of the class `net`.
        """
        found = {name: getattr(model, name) for name in self.fields}
        wanted = dict(self.fields)
        for part, fields in self.parts.items():
            net = model.part(part)
            found.update({f"{part}.{name}": getattr(net, name) for name in fields})
            wanted.update({f"{part}.{name}": value for name, value in fields.items()})
        return {name: value for name, value in found.items() if value != wanted[name]}

    def rename(self, name: str) -> str:
        """Returns today's name of an array in a file of any age.

        Args:
            name: in the file.
        """
        for pattern, replacement in self.older:
            name = re.sub(pattern, replacement, name)
        return name

    def rules_for(self, model: Net) -> tuple[Rule, ...]:
        """Returns the rules for one network.

        Args:
            model: of the class `net`.
        """
        return self.rules(model) if callable(self.rules) else self.rules

    def unneeded(self, needed: set[str], given: Iterable[str]) -> set[str]:
        """Returns the names that a file may have although no array of the network needs them.

        Args:
            needed: names of the network's arrays.
            given: names in the file.

        Returns:
            The counters of batch norms, and the names of auxiliary heads that the network lacks.
        """
        # PyTorch's batch norms count their batches; nothing here uses the number.
        counters = {
            name.removesuffix("running_mean") + "num_batches_tracked"
            for name in needed
            if name.endswith(".running_mean")
        }
        absent = tuple(h for h in self.heads if not any(name.startswith(h) for name in needed))
        return counters | {name for name in given if name.startswith(absent)}


@dataclasses.dataclass(frozen=True)
class Slot:
    """An array of the other library, and its place here.

    Attributes:
        path: our path, such as ("params", "conv1", "kernel").
        index: row of the leading axis where equal blocks are stacked, else None.
        name: the other library's name, such as "conv1.weight".
        layout: of the array.
        shape: ours, without the leading axis of stacked blocks.
    """

    path: tuple[str, ...]
    index: int | None
    name: str
    layout: Layout
    shape: tuple[int, ...]

    @property
    def label(self) -> str:
        """Our path without its collection, as patterns match it: "conv1/kernel"."""
        return "/".join(self.path[1:])


def slots(model: Net, rules: tuple[Rule, ...], variables: Any) -> list[Slot]:
    """Returns the place of every array of a network.

    Args:
        model: the network, for messages.
        rules: of its family.
        variables: its variables, arrays or shapes.

    Returns:
        A slot for every array of the other library, in the order of our leaves.

    Raises:
        ValueError: layers have no rule; all are named.
    """
    found, missed = [], []
    for path, leaf in leaves(variables).items():
        *layer, kind = path[1:]
        for place, index in _blocks("/".join(layer), leaf.shape):
            shape = leaf.shape if index is None else leaf.shape[1:]
            for rule in rules:
                if (name := rule.named(place)) is not None:
                    layout = _layout(rule, kind, shape)
                    found.append(Slot(path, index, f"{name}.{LEAVES[kind]}", layout, shape))
                    break
            else:
                missed.append(f"{place}/{kind}")
    if missed:
        raise ValueError(
            f"{type(model).__name__}: that library has no place for {', '.join(missed)}"
        )
    return found


def leaves(variables: Any) -> dict[tuple[str, ...], Any]:
    """Returns the leaves of a tree of mappings by the keys that lead to them, in leaf order.

    Args:
        variables: arrays or shapes, by collection.
    """
    return {
        tuple(str(key.key) for key in path): leaf
        for path, leaf in tree_util.tree_leaves_with_path(variables)
    }


def _blocks(layer: str, shape: tuple[int, ...]) -> Iterator[tuple[str, int | None]]:
    """Yields a layer's path; of stacked blocks, each block's path and row."""
    scanned = _SCANNED.fullmatch(layer)
    if scanned is None:
        yield layer, None
        return
    for row in range(shape[0]):
        yield f"{scanned['stage']}_block{row + 2}/{scanned['layer']}", row


def _layout(rule: Rule, kind: str, shape: tuple[int, ...]) -> Layout:
    """Returns the layout of an array from its kind and rank."""
    if kind != "kernel":
        return VECTOR
    return CONV if len(shape) == 4 else rule.dense
