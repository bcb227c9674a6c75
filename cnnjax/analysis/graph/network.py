"""The graph of a network: layers as nodes, arrays as edges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cnnjax.analysis.calls import ModuleCall, check_names

INPUT = "input"
"""Name and kind of the first node."""


@dataclass(frozen=True)
class Node:
    """A layer: a module that calls no other, or a function such as a pool, an addition or a ReLU.

    Attributes:
        name: as in a summary: the module's path, "#2" for its second call; for a function, the path
            of the module that calls it and the function.
        kind: the module's class, or the function.
        function: the function that it starts with, such as the one that a module applies; "" if it
            has no name.
        path: path of the module; of a function, that of the module that calls it.
        is_module: whether it is a module, rather than a function.
        shape: shape of its output, with the batch.
        primitives: names of its primitive operations, in order.
        constants: the numbers that are written in these, in order, such as the divisor of a mean.
        variables: path, with the collection, to shape of each variable that it is computed from.
        parameters: number of trainable parameters that no node before it has.
        multiply_adds: of convolutions and matrix products, for one image and all turns.
        window: rows and columns of its input that one place of its output is computed from; None
            where that is not a window that slides by `stride`.
        stride: rows and columns between neighboring windows; None as for `window`.
        turns: how often a loop (`flax.linen.scan`) repeats it.
        calls: indices of the module calls around it, from the outermost to its own.
    """

    name: str
    kind: str
    path: tuple[str, ...]
    is_module: bool
    shape: tuple[int, ...]
    primitives: tuple[str, ...] = ()
    constants: tuple[float, ...] = ()
    variables: Mapping[tuple[str, ...], tuple[int, ...]] = field(default_factory=dict)
    parameters: int = 0
    multiply_adds: int = 0
    window: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    turns: int = 1
    calls: tuple[int, ...] = ()
    function: str = ""


@dataclass(frozen=True)
class Edge:
    """An array that one layer computes and another one takes.

    Attributes:
        source: index of the node that computes it.
        target: index of the node that takes it.
        shape: the array's shape as the target takes it, with the batch.
    """

    source: int
    target: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class NetworkGraph:
    """A network as a graph without cycles.

    Layers whose result the network does not return are left out. A loop is drawn as one turn.

    Attributes:
        model: the name of the model's class.
        nodes: the layers in the order of computation; the first is the input.
        edges: the arrays; those of one target are in the order in which it takes them.
        outputs: indices of the nodes whose outputs the network returns.
        calls: the module calls, in the order in which they start; nodes refer to them by index.
        unused: number of parameters from which no output is computed.
    """

    model: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    outputs: tuple[int, ...]
    calls: Sequence[ModuleCall]
    unused: int = 0

    @property
    def parameters(self) -> int:
        """Number of trainable parameters from which the outputs are computed."""
        return sum(node.parameters for node in self.nodes)

    def index(self, name: str) -> int:
        """Returns the index of a node.

        Args:
            name: the node's name.

        Raises:
            KeyError: there is no such node; the message gives the nearest.
        """
        names = [node.name for node in self.nodes]
        check_names([name], names, f"layer of {self.model}")
        return names.index(name)

    def node(self, name: str) -> Node:
        """Returns a node.

        Args:
            name: the node's name.

        Raises:
            KeyError: there is no such node; the message gives the nearest.
        """
        return self.nodes[self.index(name)]

    def producers(self, name: str) -> list[Node]:
        """Returns the nodes whose outputs a node takes, in the order in which it takes them.

        Args:
            name: the node's name.

        Raises:
            KeyError: there is no such node; the message gives the nearest.
        """
        index = self.index(name)
        return [self.nodes[edge.source] for edge in self.edges if edge.target == index]

    def consumers(self, name: str) -> list[Node]:
        """Returns the nodes that take a node's output, in the order of computation.

        Args:
            name: the node's name.

        Raises:
            KeyError: there is no such node; the message gives the nearest.
        """
        index = self.index(name)
        return [self.nodes[edge.target] for edge in self.edges if edge.source == index]
