"""SimpleCNN: stages of filter, normalization, activation and pooling, each part a named choice.

A stage is `depth` times filter -> norm -> activation, then a pool, as lectures draw convolutional
networks. Where a shortcut joins the stage's input, it does so before the last activation (a
concatenation, after it). LeNet-5, the feature extractors of Jarrett et al. (2009), VGG, residual,
highway and densely connected nets are such networks, on a small scale. Each choice is a field; the
others keep their values, so that two networks differ in one thing.

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("simple_cnn", pooling="average", shortcut="sum", depth=2)
    >>> for feature in models.feature_info(net, (28, 28, 1)):
    ...     print(feature.name, feature.shape)
    stage1 (14, 14, 16)
    stage2 (7, 7, 32)
    stage3 (3, 3, 64)
    >>> models.create_model("simple_cnn", padding="VALID", shortcut="sum")
    Traceback (most recent call last):
    ValueError: SimpleCNN: shortcut='sum' needs branches of the input's size, but padding='VALID'
    makes them smaller; set padding='SAME' or shortcut='none'
"""

from typing import Any, ClassVar, Literal

import flax.linen as linen
from jaxtyping import Array, Float

from cnnjax import nn
from cnnjax.models.blocks.flat import Logits, flat
from cnnjax.models.blocks.stage_checks import check_combinations, check_forms
from cnnjax.models.blocks.stage_parts import FILTERS, JOINS, NORMS, POOLINGS, WITH_BIAS
from cnnjax.models.info import ModelInfo
from cnnjax.models.net import Net
from cnnjax.models.registry import register
from cnnjax.nn.activations import Activation
from cnnjax.ops.arguments.choices import check_mode

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch rows columns features"]


class SimpleCNN(Net):
    """A network of stages, whose parts are chosen by name.

    The defaults take images from 8x8. Weights of `filters="local"` and of `head="dense"` fit the
    image size that they were made for.

    Attributes:
        widths: channels of each stage; their number is the number of stages.
        depth: filters of each stage, one number for all or one for each.
        kernel: size of the filters, one number for all stages or one for each.
        filters: "shared" (a convolution), "local" (unshared weights), "separable" (depthwise, then
            1x1) or "asymmetric" (1xn, then nx1).
        activation: a name of `nn.ACTIVATIONS`, or a path such as "my_package.layers:mish".
        norm: "batch", "group" (8 groups), "response" (LRN with AlexNet's constants, which are meant
            for pixels up to 255), "contrast" (windows of 5x5) or "none".
        norm_place: "before" or "after" the activation.
        pooling: "max", "average", "sum", "stride" (a convolution of the pool's size and strides,
            with the activation) or "none".
        pool_size: height and width of the pool's windows.
        pool_strides: step between windows; None for `pool_size`, a smaller one for overlap.
        padding: "SAME" or "VALID", of the filters.
        padding_mode: "zeros", "replicate", "reflect", "circular" or a constant, of the filters.
        shortcut: from a stage's input to its branch F: "none"; "sum", x + F(x); "scaled",
            (x + F(x)) / 2; "gated", (1 - g) x + g F(x), g learned; "concatenation", [x, F(x)]. A
            1x1 convolution fits x where the channels change.
        head: "dense" (every value of the last maps) or "average" (each map's mean), before the
            dense layers.
        hidden: units of dense layers before the last one.
        dropout_rate: of the inputs of the dense layers.
        drop_path_rate: probability with which an example skips the last stage's branch; it grows
            linearly with the stage's number.
    """

    num_classes: int = 10
    widths: tuple[int, ...] = (16, 32, 64)
    depth: int | tuple[int, ...] = 1
    kernel: int | tuple[int, ...] = 3
    filters: Literal["shared", "local", "separable", "asymmetric"] = "shared"
    activation: str = "relu"
    norm: Literal["batch", "group", "response", "contrast", "none"] = "batch"
    norm_place: Literal["before", "after"] = "before"
    pooling: Literal["max", "average", "sum", "stride", "none"] = "max"
    pool_size: int = 2
    pool_strides: int | None = None
    padding: Literal["SAME", "VALID"] = "SAME"
    padding_mode: str | float = "zeros"
    shortcut: Literal["none", "sum", "scaled", "gated", "concatenation"] = "none"
    head: Literal["dense", "average"] = "dense"
    hidden: tuple[int, ...] = ()
    dropout_rate: float = 0.0
    drop_path_rate: float = 0.0

    counts: ClassVar[tuple[str, ...]] = (
        *("widths", "depth", "kernel", "pool_size", "pool_strides", "hidden"),
    )
    rates: ClassVar[tuple[str, ...]] = ("dropout_rate", "drop_path_rate")

    def __post_init__(self) -> None:
        """Checks the values of the fields, and that they fit together.

        Raises:
            ValueError: a value is not allowed, or two contradict each other; the message names the
                fields, and what to set instead.
        """
        for field in ("widths", "depth", "kernel", "hidden"):
            # Configurations that are read from JSON have lists.
            if isinstance(getattr(self, field), list):
                object.__setattr__(self, field, tuple(getattr(self, field)))
        super().__post_init__()
        nn.find_activation(self.activation)
        check_mode("SimpleCNN", "padding_mode", self.padding_mode)
        check_forms(self)
        check_combinations(self)

    @linen.nowrap
    def field_choices(self) -> dict[str, tuple]:
        """Returns the allowed values of the fields added here, by field."""
        return {
            "filters": tuple(FILTERS),
            "norm": tuple(NORMS),
            "norm_place": ("before", "after"),
            "pooling": tuple(POOLINGS),
            "padding": ("SAME", "VALID"),
            "shortcut": ("none", *JOINS),
            "head": ("dense", "average"),
        }

    @linen.nowrap
    def each_stage(self, field: str) -> tuple[int, ...]:
        """Returns a field's value for each stage.

        Args:
            field: "depth" or "kernel".

        Raises:
            ValueError: there are values for another number of stages.
        """
        value = getattr(self, field)
        values = value if isinstance(value, tuple) else (value,) * len(self.widths)
        if len(values) != len(self.widths):
            raise ValueError(
                f"SimpleCNN: {field} must be one number, or one for each of the "
                f"{len(self.widths)} stages of widths={self.widths}, got {value!r}"
            )
        return values

    @property
    def activate(self) -> Activation:
        """The function that `activation` names."""
        return nn.find_activation(self.activation)

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> Logits:
        """Returns logits.

        Args:
            x: images.
            train: whether dropout and drop-path are on (stream "dropout"), and batch norms use the
                batch.
        """
        rates = nn.rates_by_depth(self.drop_path_rate, len(self.widths))
        stages = zip(
            self.widths, self.each_stage("depth"), self.each_stage("kernel"), rates, strict=True
        )
        for number, (width, depth, kernel, rate) in enumerate(stages, start=1):
            drop = nn.DropPath(rate, deterministic=not train)
            x = self.stage(f"stage{number}", x, (width, depth, kernel), drop, train)
            x = self.feature(f"stage{number}", x)
        hidden = [f"hidden{number}" for number in range(1, len(self.hidden) + 1)]
        first = next(iter(hidden), "classifier")
        x = flat(self, first, x) if self.head == "dense" else x.mean(axis=(1, 2))
        dropout = linen.Dropout(self.dropout_rate, deterministic=not train)
        for name, units in zip(hidden, self.hidden, strict=True):
            x = self.feature(name, self.activate(self.dense(units, name=name)(dropout(x))))
        return self.logits(dropout(x))

    def stage(
        self, name: str, x: Images, form: tuple[int, int, int], drop: nn.DropPath, train: bool
    ) -> Maps:
        """Applies a stage: its filters, the join with its input, its pool.

        Args:
            name: of the stage.
            x: feature maps.
            form: channels, number of filters, and their size.
            drop: what drops the branch for some examples.
            train: whether batch norms use the batch's statistics.
        """
        width, depth, kernel = form
        # A sum is activated afterwards, a concatenation is not.
        joins_early = self.shortcut not in ("none", "concatenation")
        branch = x
        for number in range(1, depth + 1):
            label = f"{name}_conv{number}"
            biased = self.norm_place == "after" or self.norm not in WITH_BIAS
            make = FILTERS[self.filters]
            branch = make(self, width, kernel, use_bias=biased, name=label)(branch)
            branch = self.normalize(branch, "before", f"{name}_norm{number}", train)
            if number < depth or not joins_early:
                branch = self.normalize(
                    self.activate(branch), "after", f"{name}_norm{number}", train
                )
        if self.shortcut != "none":
            branch = JOINS[self.shortcut](self, x, drop(branch), name)
        if joins_early:
            branch = self.normalize(self.activate(branch), "after", f"{name}_norm{depth}", train)
        return POOLINGS[self.pooling](self, f"{name}_pool")(branch)

    def normalize(self, x: Maps, place: str, name: str, train: bool) -> Maps:
        """Returns the normalized maps at the place that `norm_place` names, and x at the other.

        Args:
            x: feature maps.
            place: "before" or "after" the activation.
            name: of the layer.
            train: whether batch norms use the batch's statistics.
        """
        norm: Any = NORMS[self.norm]
        return x if norm is None or place != self.norm_place else norm(self, train)(name=name)(x)


register(
    SimpleCNN,
    ModelInfo(
        "simple_cnn",
        "the stage of LeCun et al., 1998, and Jarrett et al., 2009, section 2: filters, "
        "non-linearity, normalization, pooling",
        input_size=(28, 28, 1),
        parameters=None,
        notes="Built here for comparisons; no paper has it.",
    ),
)
