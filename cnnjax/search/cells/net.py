"""The network that repeats a genome's cells.

A stem, then stages of normal cells. Between two stages the maps are halved and their channels
doubled: by a reduction cell, or by a 2x2 pool where the genome has none. A global average and a
dense layer follow.

Example:
    >>> from cnnjax import models, search
    >>> net = search.CellNet(genome="normal: conv_3x3(0)+identity(0)", width=8)
    >>> for feature in models.feature_info(net, (8, 8, 1)):
    ...     print(feature.name, feature.shape)
    stage1 (8, 8, 8)
    stage2 (4, 4, 16)
    stage3 (2, 2, 32)
"""

from typing import Any, ClassVar

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import ops
from cnnjax.models.net import Net
from cnnjax.search.cells.genome import Cell, Genome, loose_ends, parse_genome
from cnnjax.search.cells.operations import find_operation
from cnnjax.search.errors import GenomeError

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch rows columns features"]


class CellLayer(linen.Module):
    """A cell: each input is brought to `features` channels, then the nodes follow.

    Attributes:
        cell: the cell.
        features: channels of each node.
        inputs: number of inputs that the cell may take, 1 or 2.
        strides: 1, or 2 for a reduction cell, whose edges from the inputs have that stride.
        conv: makes a convolution.
        norm: makes a batch norm.
        dtype: dtype of the computation.
        backward: "ours" for the backward rules of `cnnjax.ops`, "native" for lax's autodiff.
    """

    cell: Cell
    features: int
    inputs: int
    strides: int
    conv: Any
    norm: Any
    dtype: Any
    backward: str

    @linen.compact
    def __call__(self, states: tuple[Array, ...], train: bool) -> Maps:
        """Returns the loose ends' maps side by side.

        Args:
            states: outputs of the cell before, and of the one before that.
            train: whether batch norms use the batch's statistics.
        """
        taken = {edge.source for node in self.cell for edge in node}
        # The cell before may have halved the maps: the older ones follow it.
        size = states[0].shape[1]
        maps: list[Any] = [
            self.fitted(number, state, size) if number in taken else None
            for number, state in enumerate(states[: self.inputs])
        ]
        for number, node in enumerate(self.cell):
            results = []
            for at, (source, name) in enumerate(node):
                operation = find_operation(name)(
                    self.features,
                    self.strides if source < self.inputs else 1,
                    self.dtype,
                    self.backward,
                    name=f"node{number}_{at}_{name.rpartition(':')[2]}",
                )
                results.append(operation(maps[source], train))
            maps.append(sum(results[1:], results[0]))
        return jnp.concatenate([maps[n] for n in loose_ends(self.cell, self.inputs)], axis=-1)

    def fitted(self, number: int, x: Images, size: int) -> Maps:
        """Returns an input with `features` channels, in the size of the newest one.

        Args:
            number: of the input.
            x: its maps.
            size: height of the newest input's maps.
        """
        strides = -(-x.shape[1] // size)
        x = self.conv(self.features, (1, 1), strides=strides, name=f"input{number}")(ops.relu(x))
        return self.norm(name=f"input{number}_bn")(x)


class CellNet(Net):
    """A network that repeats the cells of a genome.

    Attributes:
        genome: the genome, or its text.
        inputs: number of inputs of its cells, 1 or 2.
        stages: number of stages; the maps are halved between two.
        cells: number of normal cells of a stage.
        width: channels of each node in the first stage; they double with each stage.

    Source: Zoph et al., 2018, figure 2; Real et al., 2019, figure 1.
    """

    num_classes: int = 10
    genome: Genome | str = "normal: conv_3x3(0)+identity(0)"
    inputs: int = 1
    stages: int = 3
    cells: int = 1
    width: int = 16

    counts: ClassVar[tuple[str, ...]] = ("inputs", "stages", "cells", "width")

    def __post_init__(self) -> None:
        """Reads the genome, and checks the values of the fields.

        Raises:
            GenomeError: the genome has another form, takes maps that do not come before, or names
                an operation that there is not.
            ValueError: a value is not allowed.
        """
        genome = self.genome
        if not isinstance(genome, Genome):
            object.__setattr__(self, "genome", parse_genome(genome))
        super().__post_init__()
        _check_genome(self.cell_genome, self.inputs)

    def field_choices(self) -> dict[str, tuple]:
        """Returns the allowed values of the fields added here, by field."""
        return {"inputs": (1, 2)}

    @property
    def cell_genome(self) -> Genome:
        """The genome, read."""
        genome = self.genome
        return genome if isinstance(genome, Genome) else parse_genome(genome)

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> Float[Array, "batch {self.num_classes}"]:
        """Returns logits.

        Args:
            x: images.
            train: whether batch norms use the batch's statistics.
        """
        x = self.conv(self.width, (3, 3), use_bias=False, name="stem")(x)
        x = self.norm_layer(train)(name="stem_bn")(x)
        states = (x, x)
        for stage in range(self.stages):
            features = self.width * 2**stage
            if stage:
                states = self.reduced(stage, states, features, train)
            for number in range(self.cells):
                name = f"stage{stage + 1}_cell{number + 1}"
                states = self.layer(name, self.cell_genome.normal, states, features, 1, train)
            self.feature(f"stage{stage + 1}", states[0])
        return self.logits(ops.relu(states[0]).mean(axis=(1, 2)))

    def reduced(
        self, stage: int, states: tuple[Array, Array], features: int, train: bool
    ) -> tuple[Array, Array]:
        """Returns the states after the maps were halved.

        Args:
            stage: number of the stages before.
            states: outputs of the last two cells.
            features: channels of each node of the reduction cell.
            train: whether batch norms use the batch's statistics.
        """
        cell = self.cell_genome.reduction
        if cell is None:
            return self.max_pool(2, name=f"pool{stage}")(states[0]), states[0]
        return self.layer(f"reduction{stage}", cell, states, features, 2, train)

    def layer(
        self,
        name: str,
        cell: Cell,
        states: tuple[Array, Array],
        features: int,
        strides: int,
        train: bool,
    ) -> tuple[Array, Array]:
        """Returns a cell's output and the output before it.

        Args:
            name: of the cell.
            cell: the cell.
            states: outputs of the last two cells.
            features: channels of each node.
            strides: 1, or 2 for a reduction cell.
            train: whether batch norms use the batch's statistics.
        """
        conv = self.conv
        conv.keywords["use_bias"] = False
        norm = self.norm_layer(train)
        layer = CellLayer(
            cell, features, self.inputs, strides, conv, norm, self.dtype, self.backward, name=name
        )
        return layer(states, train), states[0]


def _check_genome(genome: Genome, inputs: int) -> None:
    for kind, cell in zip(Genome._fields, genome, strict=True):
        for number, node in enumerate(cell or ()):
            for edge in node:
                find_operation(edge.operation)
                if edge.source >= inputs + number:
                    raise GenomeError(
                        f"genome: node {number} of the {kind} cell of {genome} takes the maps "
                        f"{edge.source}, but with inputs={inputs} it may take 0 to "
                        f"{inputs + number - 1}"
                    )
