"""FractalNet: columns of different depth that meet in means, and drop-path to train them.

A block of C columns holds 2^c convolutions in column c (c = 0 the shallowest). Where columns end
together they are joined: the mean of all that meet replaces each, so that joins of the recursion
at the same place are one. The number of parameters follows the paper's table. Its printed count
(38.6 M for 20 layers) needs further 1x1 convolutions, which the paper does not describe:
`projections` adds one before each block that changes the channels, which gives 38.65 M. The text
joins, then pools; the authors' code pools each column, then joins (`pool_before_join`).

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("fractalnet20", columns=2, dropout_rates=(0.0,) * 5)
    >>> for feature in models.feature_info(net, (32, 32, 3)):
    ...     print(feature.name, feature.shape)
    block1 (16, 16, 64)
    block2 (8, 8, 128)
    block3 (4, 4, 256)
    block4 (2, 2, 512)
    block5 (1, 1, 512)
    pooled (512,)
"""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import flax.linen as linen
import jax
from jaxtyping import Array, Float

from cnnjax import ops
from cnnjax.models.blocks.drop_path import DropPath, join
from cnnjax.models.blocks.flat import Logits, flat
from cnnjax.models.info import ModelInfo, Published
from cnnjax.models.initializers import GLOROT_UNIFORM, Initializers, same
from cnnjax.models.net import Net
from cnnjax.models.registry import Entry, register
from cnnjax.models.statistics import CIFAR, IMAGENET

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch rows columns features"]


class Unit(linen.Module):
    """Convolution, dropout, batch norm, rectifier.

    Attributes:
        features: number of output channels.
        conv: makes the convolution.
        norm: makes the batch norm.
        dropout: makes the dropout.

    Source: Larsson et al., 2017, section 4.
    """

    features: int
    conv: Any
    norm: Any
    dropout: Any

    @linen.compact
    def __call__(self, x: Images) -> Float[Array, "batch height width features"]:
        """Applies the unit; height and width do not change.

        Args:
            x: feature maps.
        """
        x = self.conv(self.features, (3, 3), name="conv")(x)
        return ops.relu(self.norm(name="bn")(self.dropout()(x)))


class FractalNet(Net):
    """Fractal blocks, each followed by a 2x2 max pool, and a dense layer.

    With `head="average"` a global average replaces the last pool.

    Drop-path draws from the stream "dropout". Smallest input 32x32 with five blocks.

    The joins average columns that are independent at the start. A block of three columns therefore
    has about 0.65 of its input's scale (root mean square). Batch norm corrects this in training; in
    evaluation before any training, with running statistics of 0 and 1, five blocks leave a tenth.

    Attributes:
        columns: columns of each block.
        widths: channels of each block.
        dropout_rates: dropout rates of the units of each block.
        local_drop_rate: probability with which a join drops each of its inputs; one stays.
        global_fraction: share of the passes that keep one column of the whole network instead.
        pool_before_join: whether the last columns of a block are first pooled, and then joined.
        projections: whether a 1x1 convolution before a block changes the channels, where they
            change, in place of the first units of all its columns.
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

    @linen.nowrap
    def field_choices(self) -> dict[str, tuple]:
        """Returns the allowed values of the fields added here, by field."""
        return {
            "stem": ("none", "imagenet"),
            "head": ("flatten", "average"),
            "column": (None, *range(self.columns)),
        }

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> Logits:
        """Returns logits.

        Args:
            x: images.
            train: whether dropout and drop-path are on (stream "dropout").
        """
        # Batch norm follows each convolution, and has a bias of its own.
        conv = functools.partial(self.conv, use_bias=False)
        if self.stem == "imagenet":
            x = conv(64, (7, 7), strides=2, padding=3, name="conv1")(x)
            x = ops.relu(self.norm_layer(train)(name="bn1")(x))
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
                self.norm_layer(train),
                dropout,
            )
            if self.projections and x.shape[-1] != width:
                x = conv(width, (1, 1), name=f"block{number}_projection")(x)
            x = self.feature(f"block{number}", self.block(number, x, unit, paths))
        x = flat(self, "classifier", x) if self.head == "flatten" else x.mean(axis=(1, 2))
        return self.logits(self.feature("pooled", x))

    def block(self, number: int, x: Images, unit: Any, paths: DropPath | None) -> Maps:
        """Applies a fractal block and its pool; columns that end at the same step are joined.

        Args:
            number: of the block, from 1.
            x: feature maps.
            unit: makes a unit, given `name`.
            paths: what drop-path drew for this pass, or None for plain means.
        """
        name = f"block{number}"
        # The global average replaces the pool of the last block.
        averaged = self.head == "average" and number == len(self.widths)
        pool = (lambda y: y) if averaged else self.max_pool(2, name=f"{name}_pool")
        # The deepest column has one unit a step.
        steps = 2 ** (self.columns - 1)
        columns = range(self.columns) if self.column is None else (self.column,)
        state = dict.fromkeys(columns, x)
        for step in range(1, steps + 1):
            # Column c ends a unit every steps / 2^c steps.
            ending = [c for c in columns if step % (steps // 2**c) == 0]
            # A single shallow column has no unit that ends here.
            if not ending:
                continue
            for c in ending:
                count = step * 2**c // steps
                state[c] = unit(name=f"{name}_column{c}_unit{count}")(state[c])
            meeting = [state[c] for c in ending]
            if step == steps and self.pool_before_join:
                meeting = [pool(y) for y in meeting]
            key = None
            if paths is not None:
                # Every join of the network has a number of its own.
                key = jax.random.fold_in(paths.key, number * steps + step)
            state.update(dict.fromkeys(ending, join(meeting, ending, paths, key)))
        joined = state[columns[-1]]
        return joined if self.pool_before_join else pool(joined)

    def draw_paths(self, train: bool) -> DropPath | None:
        """Returns what drop-path draws for this pass, or None where it drops nothing.

        Args:
            train: whether the network is in training mode.
        """
        # A single column has no joins.
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


def column_variables(variables: Mapping[str, Any], column: int) -> dict[str, Any]:
    """Returns the variables of one column as a plain network.

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
_PRINTED = Published("the paper", "38.6 M")
_PROJECTIONS = ModelInfo(
    "fractalnet20",
    _SOURCE,
    input_size=(32, 32, 3),
    parameters=38_647_114,
    notes="1x1 convolutions double the channels before the blocks, which the paper does not say.",
    published=_PRINTED,
    **CIFAR,
)

register(
    FractalNet,
    ModelInfo(
        "fractalnet20",
        _SOURCE,
        input_size=(32, 32, 3),
        parameters=33_724_618,
        errors="CIFAR-10 10.18, with drop-path and dropout 7.33; augmented 5.22, 4.60",
        notes="The paper's description does not give its number of parameters, but "
        "`variant='projections'` does.",
        published=_PRINTED,
        **CIFAR,
    ),
    variants={"projections": Entry(FractalNet, {"projections": True}, _PROJECTIONS, {})},
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
