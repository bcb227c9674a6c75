"""FractalNet: columns of different depth that meet in means, and drop-path to train them.

A block of C columns holds 2^c convolutions in column c (c = 0 the shallowest). Wherever columns
end together they are joined: the mean of all that meet replaces each, so that coinciding joins of
the recursion are one. Parameters are those of the plain reading of the paper's table; its printed
count (38.6 M for 20 layers) needs further 1x1 convolutions, which it does not describe:
`projections` adds one before each block that changes the channels, which gives 38.65 M. The text
joins, then pools; the authors' code pools each column, then joins (`pool_before_join`).
"""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from cnnjax import ops
from cnnjax.models.initializers import GLOROT_UNIFORM, Initializers, same
from cnnjax.models.net import Net, flat
from cnnjax.models.registry import ModelInfo, register
from cnnjax.models.statistics import CIFAR, IMAGENET

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch rows columns features"]


class DropPath(NamedTuple):
    """What drop-path drew for this pass.

    Attributes:
        key: for the joins' own draws.
        local_rate: probability with which each input of a join is dropped, where paths drop
            locally.
        is_global: whether one column is kept in the whole network.
        column: that column.
    """

    key: jax.Array
    local_rate: float
    is_global: Array
    column: Int[Array, ""]


class Unit(linen.Module):
    """Convolution, dropout, batch norm, rectifier.

    Source: Larsson et al., 2017, section 4.
    """

    features: int
    conv: Any
    norm: Any
    dropout: Any

    @linen.compact
    def __call__(self, x: Images) -> Float[Array, "batch height width features"]:
        """Applies the unit; height and width stay."""
        x = self.conv(self.features, (3, 3), name="conv")(x)
        return ops.relu(self.norm(name="bn")(self.dropout()(x)))


class FractalNet(Net):
    """Fractal blocks, each followed by a 2x2 max pool, and a dense layer.

    With `head="average"` a global average takes the place of the last pool.

    Drop-path draws from the stream "dropout". Smallest input 32x32 with five blocks.

    The joins average columns that are independent at the start, and so a block of three columns has
    about 0.65 of its input's scale (root mean square). Batch norm makes up for it in training; in
    evaluation before any training, with running statistics of 0 and 1, five blocks leave a tenth.

    Attributes:
        columns: columns of each block.
        widths: channels of each block.
        dropout_rates: of the units of each block.
        local_drop_rate: probability with which a join drops each of its inputs; one stays.
        global_fraction: share of the passes that keep one column of the whole network instead.
        pool_before_join: whether a block's last columns are pooled each, and then joined.
        projections: whether a 1x1 convolution changes the channels before a block, where they
            change, in the place of the first units of all its columns.
        column: the one column to compute, as a plain network, or None for all.
        stem: "none", or "imagenet" (7x7 of stride 2, 3x3 max pool of stride 2).
        head: "flatten" or "average", before the dense layer.
        remat: whether the backward pass computes a unit's activations again, keeping its input.
    """

    num_classes: int = 10
    columns: int = 3
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    dropout_rates: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4)
    local_drop_rate: float = 0.15
    global_fraction: float = 0.5
    pool_before_join: bool = False
    projections: bool = False
    column: int | None = None
    stem: Literal["none", "imagenet"] = "none"
    head: Literal["flatten", "average"] = "flatten"
    remat: bool = False

    counts: ClassVar[tuple[str, ...]] = ("columns", "widths")
    rates: ClassVar[tuple[str, ...]] = ("dropout_rates", "local_drop_rate", "global_fraction")
    per_stage: ClassVar[tuple[str, ...]] = ("widths", "dropout_rates")
    # Section 4: Xavier.
    paper_initializers: ClassVar[Initializers] = same(GLOROT_UNIFORM)

    def field_choices(self) -> dict[str, tuple]:
        """See `Net.field_choices`."""
        return {
            "stem": ("none", "imagenet"),
            "head": ("flatten", "average"),
            "column": (None, *range(self.columns)),
        }

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> Float[Array, "batch classes"]:
        """Returns logits; `train` turns dropout and drop-path on (stream "dropout")."""
        conv = functools.partial(self.conv, use_bias=False)
        if self.stem == "imagenet":
            x = conv(64, (7, 7), strides=2, padding=3, name="conv1")(x)
            x = ops.relu(self.norm(train)(name="bn1")(x))
            x = self.max_pool(3, 2, padding=1, name="pool1")(self.feature("stem", x))
        paths = self.draw_paths(train)
        for number, (width, rate) in enumerate(
            zip(self.widths, self.dropout_rates, strict=True), start=1
        ):
            dropout = functools.partial(linen.Dropout, rate, deterministic=not train)
            unit = functools.partial(
                linen.remat(Unit) if self.remat else Unit,
                width,
                conv,
                self.norm(train),
                dropout,
            )
            if self.projections and x.shape[-1] != width:
                x = conv(width, (1, 1), name=f"block{number}_projection")(x)
            x = self.feature(f"block{number}", self.block(number, x, unit, paths))
        x = flat(self, "classifier", x) if self.head == "flatten" else x.mean(axis=(1, 2))
        return self.logits(self.feature("pooled", x))

    def block(self, number: int, x: Images, unit: Any, paths: DropPath | None) -> Maps:
        """A fractal block and its pool; the columns that end at a step are joined there."""
        name = f"block{number}"
        averaged = self.head == "average" and number == len(self.widths)
        pool = (lambda y: y) if averaged else self.max_pool(2, name=f"{name}_pool")
        steps = 2 ** (self.columns - 1)
        columns = range(self.columns) if self.column is None else (self.column,)
        state = dict.fromkeys(columns, x)
        for step in range(1, steps + 1):
            # Column c ends a unit every steps / 2^c steps.
            ending = [c for c in columns if step % (steps // 2**c) == 0]
            if not ending:  # a single shallow column is still on its way
                continue
            for c in ending:
                count = step * 2**c // steps
                state[c] = unit(name=f"{name}_column{c}_unit{count}")(state[c])
            meeting = [state[c] for c in ending]
            if step == steps and self.pool_before_join:
                meeting = [pool(y) for y in meeting]
            key = None
            if paths is not None:
                key = jax.random.fold_in(paths.key, number * steps + step)
            state.update(dict.fromkeys(ending, join(meeting, ending, paths, key)))
        joined = state[columns[-1]]
        return joined if self.pool_before_join else pool(joined)

    def draw_paths(self, train: bool) -> DropPath | None:
        """Draws which columns drop-path keeps in this pass, or None where it drops nothing."""
        off = self.local_drop_rate == 0 and self.global_fraction == 0
        if not train or off or self.column is not None:
            return None
        choose, column, joins = jax.random.split(self.make_rng("dropout"), 3)
        return DropPath(
            joins,
            self.local_drop_rate,
            jax.random.bernoulli(choose, self.global_fraction),
            jax.random.randint(column, (), 0, self.columns),
        )


def join(
    inputs: list[Images], columns: list[int], paths: DropPath | None, key: jax.Array | None
) -> Images:
    """The mean of the columns that meet, over those that drop-path keeps.

    Args:
        inputs: the columns' feature maps.
        columns: which columns they are.
        paths: what was drawn for this pass, or None for a plain mean.
        key: for this join's own draws.

    Returns:
        Feature maps of the inputs' shape.

    Source: Larsson et al., 2017, equation 2 and section 3.
    """
    if len(inputs) == 1:
        return inputs[0]
    if paths is None or key is None:
        return functools.reduce(jnp.add, inputs) / len(inputs)
    keep = keep_paths(paths, jnp.array(columns), key).astype(inputs[0].dtype)
    total = functools.reduce(jnp.add, [k * x for k, x in zip(keep, inputs, strict=True)])
    return total / keep.sum()


def keep_paths(
    paths: DropPath, columns: Int[Array, "inputs"], key: jax.Array
) -> Float[Array, "inputs"]:
    """Which inputs of a join are kept, 1 or 0; at least one is."""
    drop, survive = jax.random.split(key)
    keep = jax.random.bernoulli(drop, 1.0 - paths.local_rate, columns.shape)
    survivor = jax.random.randint(survive, (), 0, columns.size) == jnp.arange(columns.size)
    local = jnp.where(keep.any(), keep, survivor)
    chosen = columns == paths.column
    # Where the one column passes no such join, what the join gives does not reach the output.
    globally = jnp.where(chosen.any(), chosen, True)
    return jnp.where(paths.is_global, globally, local).astype(jnp.float32)


def column_variables(variables: Mapping[str, Any], column: int) -> dict[str, Any]:
    """The variables of one column as a plain network.

    Args:
        variables: of a FractalNet.
        column: the column, 0 the shallowest.

    Returns:
        The variables that the same network with `column=column` uses, and no others.
    """

    def of_column(tree: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: leaf
            for name, leaf in tree.items()
            if "_column" not in name or f"_column{column}_" in name
        }

    return {collection: of_column(tree) for collection, tree in variables.items()}


_SOURCE = "Larsson, Maire and Shakhnarovich, 2017"

register(
    FractalNet,
    ModelInfo(
        "fractalnet20",
        _SOURCE,
        input_size=(32, 32, 3),
        parameters=33_724_618,
        errors="CIFAR-10 10.18, with drop-path and dropout 7.33; augmented 5.22, 4.60",
        notes="The paper prints 38.6 M parameters, which its description does not give, but "
        "`projections=True` does.",
        **CIFAR,
    ),
)
register(
    FractalNet,
    ModelInfo(
        "fractalnet34",
        f"{_SOURCE}, section 4.2",
        input_size=(224, 224, 3),
        parameters=None,
        errors="top-1/top-5 24.12/7.39",
        **IMAGENET,
    ),
    num_classes=1000,
    columns=4,
    widths=(128, 256, 512, 1024),
    dropout_rates=(0.0, 0.0, 0.0, 0.0),
    global_fraction=0.5,
    stem="imagenet",
    head="average",
)
