"""A network's graph as boxes and blocks: what is drawn, before it has places.

Layers that work in place, such as a norm or a ReLU, are lines of the box of the layer before them.
A block is a module that calls others; one that has a single box is that box.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from cnnjax.analysis.diagrams import words
from cnnjax.analysis.graph.network import INPUT, Edge, NetworkGraph

ENTRY, EXIT = -1, -2
"""In place of a child's index in a wire: the block's own entry, and its exit."""


@dataclass
class Box:
    """One or several layers that are drawn as one box.

    Attributes:
        name: of the module, or of the layer.
        nodes: indices of the layers in the graph.
        title: what it is.
        lines: further lines of text.
        category: its color.
        parameters: its number of parameters.
        shapes: of what others take from it, without repeats.
        is_folded: whether it is a module whose layers are not drawn.
        repeats: how many equal ones follow each other.
        last: the name of the last of these.
    """

    name: str
    nodes: list[int]
    title: str
    lines: list[str]
    category: str
    parameters: int
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    is_folded: bool = False
    repeats: int = 1
    last: str = ""


@dataclass(frozen=True)
class Wire:
    """An array within a block.

    Attributes:
        source: index of the child that it comes from, or `ENTRY`.
        output: the node within the source that computes it.
        target: index of the child that takes it, or `EXIT`.
        input: the node that computes it, as the target knows it.
        shape: its shape.
    """

    source: int
    output: int
    target: int
    input: int
    shape: tuple[int, ...]


@dataclass
class Block:
    """A module that calls others.

    Attributes:
        name: the module's name.
        kind: its class.
        children: the boxes and blocks in it.
        wires: the arrays between these.
        parameters: its number of parameters.
        products: its number of multiply-adds.
        repeats: how many equal ones follow each other, or how often a loop repeats it.
        last: the name of the last of these.
        is_root: whether it is the whole network.
    """

    name: str
    kind: str
    children: "list[Item]"
    wires: list[Wire] = field(default_factory=list)
    parameters: int = 0
    products: int = 0
    repeats: int = 1
    last: str = ""
    is_root: bool = False


Item: TypeAlias = Box | Block


def blocks(graph: NetworkGraph, depth: int) -> Block:
    """Returns what is drawn of a network.

    Args:
        graph: the network.
        depth: how many levels of modules are drawn; deeper ones are folded into a box.
    """
    root = _Builder(graph, depth).build(range(len(graph.nodes)), 0, 0)
    assert isinstance(root, Block)
    last = Box("", [], "Output", [], "end", 0)
    root.children.append(last)
    _add_wires(graph, root, last)
    return root


class _Builder:
    """Builds the tree of blocks."""

    def __init__(self, graph: NetworkGraph, depth: int):
        self.graph, self.depth = graph, depth
        self.inputs: dict[int, list[Edge]] = defaultdict(list)
        self.outputs: dict[int, list[Edge]] = defaultdict(list)
        for edge in graph.edges:
            self.inputs[edge.target].append(edge)
            self.outputs[edge.source].append(edge)

    def build(self, nodes: Sequence[int], call: int, level: int) -> Item:
        """Returns the layers of a module call as a block, or as a box if they are one."""
        if level and level >= self.depth:
            return self._folded(nodes, call)
        groups: dict[tuple[str, int], list[int]] = {}
        for i in nodes:
            groups.setdefault(self._group(i, level), []).append(i)
        children: list[Item] = []
        for (kind, inner), members in groups.items():
            child = (
                self._box(members[0]) if kind == "layer" else self.build(members, inner, level + 1)
            )
            if isinstance(child, Box) and self._joins_last(children, child):
                _join(self.graph, self._box_before(children, child), child)
            else:
                children.append(child)
        name, kind = _module_name(self.graph, call)
        repeats = self._turns(nodes)
        if level and len(children) == 1:
            (only,) = children
            only.name = only.last = kind if _is_numbered(name, kind) else name
            only.repeats = max(only.repeats, repeats)
            return only
        total = sum(self.graph.nodes[i].parameters for i in nodes)
        products = sum(self.graph.nodes[i].multiply_adds for i in nodes)
        return Block(name, kind, children, [], total, products, repeats, name, not level)

    def _turns(self, nodes: Sequence[int]) -> int:
        """Returns how often a loop repeats layers, more often than those around them."""
        inside = set(nodes)
        around = [e.source for i in nodes for e in self.inputs[i] if e.source not in inside]
        around += [e.target for i in nodes for e in self.outputs[i] if e.target not in inside]
        outside = max((self.graph.nodes[i].turns for i in around), default=1)
        return max(min(self.graph.nodes[i].turns for i in nodes) // outside, 1)

    def _group(self, index: int, level: int) -> tuple[str, int]:
        """Returns what a layer belongs to among the children of a block."""
        node = self.graph.nodes[index]
        chain = node.calls[level + 1 :]
        # The last call of a module's own layer is that of the module.
        inside = len(chain) > (1 if node.is_module else 0)
        return ("module", chain[0]) if inside else ("layer", index)

    def _box(self, index: int) -> Box:
        node = self.graph.nodes[index]
        shapes = [edge.shape for edge in self.inputs[index]]
        # A function is named by what it does, and so is a module without a name of its own.
        is_named = node.is_module and node.path and not _is_numbered(node.path[-1], node.kind)
        return Box(
            node.path[-1] if is_named else "",
            [index],
            words.title(node, shapes),
            words.notes(node, shapes),
            "end" if node.name == INPUT else words.category(node),
            node.parameters,
            repeats=self._turns([index]),
        )

    def _folded(self, nodes: Sequence[int], call: int) -> Box:
        name, kind = _module_name(self.graph, call)
        total = sum(self.graph.nodes[i].parameters for i in nodes)
        repeats = self._turns(nodes)
        return Box(name, list(nodes), kind, [], "module", total, [], True, repeats, name)

    def _joins_last(self, children: Sequence[Item], child: Box) -> bool:
        """Returns whether a box works in place on the output of a box before it."""
        return not child.is_folded and self._box_before(children, child) is not None

    def _box_before(self, children: Sequence[Item], child: Box) -> Box | None:
        incoming = self.inputs[child.nodes[0]]
        if len(incoming) != 1 or not all(self._in_place(i) for i in child.nodes):
            return None
        before = incoming[0].source
        if len(self.outputs[before]) != 1 or before in self.graph.outputs or before == 0:
            return None
        for item in children:
            if isinstance(item, Box) and not item.is_folded and item.nodes[-1:] == [before]:
                return item
        return None

    def _in_place(self, index: int) -> bool:
        node = self.graph.nodes[index]
        incoming = self.inputs[index]
        if node.multiply_adds or len(incoming) != 1 or words.category(node) in ("conv", "pool"):
            return False
        # A flattened map is the same values in another shape.
        return incoming[0].shape == node.shape or node.kind in ("reshape", "ravel", "squeeze")


def _is_numbered(name: str, kind: str) -> bool:
    return name.rpartition("_")[0] == kind and name.rpartition("_")[2].isdigit()


def _join(graph: NetworkGraph, box: Box | None, child: Box) -> None:
    """Adds the layers of a box as lines to another one."""
    if box is None:
        return
    box.nodes += child.nodes
    box.lines += [child.title, *child.lines]
    box.parameters += child.parameters


def _module_name(graph: NetworkGraph, call: int) -> tuple[str, str]:
    module = graph.calls[call]
    return (module.path[-1] if module.path else module.kind), module.kind


def _add_wires(graph: NetworkGraph, root: Block, last: Box) -> None:
    """Adds the arrays to the blocks that they pass."""
    chains: dict[int, list[tuple[Block, int]]] = {}

    def note(block: Block, above: list[tuple[Block, int]]) -> None:
        for i, child in enumerate(block.children):
            chain = [*above, (block, i)]
            if isinstance(child, Block):
                note(child, chain)
            else:
                chains.update((node, chain) for node in child.nodes)

    note(root, [])
    end = [(root, len(root.children) - 1)]
    pairs = [(e.source, chains[e.target], e.shape) for e in graph.edges]
    pairs += [(i, end, graph.nodes[i].shape) for i in graph.outputs]
    for source, target, shape in pairs:
        _wire(chains[source], target, source, shape)
        box = chains[source][-1][0].children[chains[source][-1][1]]
        if isinstance(box, Box) and target[-1] != chains[source][-1] and shape not in box.shapes:
            box.shapes.append(shape)


def _wire(
    source: list[tuple[Block, int]],
    target: list[tuple[Block, int]],
    tensor: int,
    shape: tuple[int, ...],
) -> None:
    """Adds one array to all blocks between its source and its target."""
    shared = 0
    while shared < min(len(source), len(target)) - 1 and source[shared] == target[shared]:
        shared += 1
    if source[shared] == target[shared]:
        # Both layers are in one box.
        return
    block = source[shared][0]
    _add(block, Wire(source[shared][1], tensor, target[shared][1], tensor, shape))
    for inner, child in source[shared + 1 :]:
        _add(inner, Wire(child, tensor, EXIT, tensor, shape))
    for inner, child in target[shared + 1 :]:
        _add(inner, Wire(ENTRY, tensor, child, tensor, shape))


def _add(block: Block, wire: Wire) -> None:
    if wire not in block.wires:
        block.wires.append(wire)


def box_count(item: Item) -> int:
    """Returns the number of boxes that are drawn.

    Args:
        item: a box or a block.
    """
    return 1 if isinstance(item, Box) else sum(map(box_count, item.children))


def depth_of(graph: NetworkGraph) -> int:
    """Returns the number of levels of modules in a network.

    Args:
        graph: the network.
    """
    return max(len(node.calls) for node in graph.nodes)
