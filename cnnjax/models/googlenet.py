"""GoogLeNet, as published and in torchvision's form, and the Inception module in both its forms.

The counts in the paper's table do not fit its columns at conv1, 4c and 5a; this network follows the
columns. The paper does not give the constants of local response normalization, which are AlexNet's
here, nor the initialization, which is Glorot's. `variant="naive"` has modules without bottlenecks,
whose pools pass all channels on, so that a module is always wider than the one before (4,944
channels at the end, not 1,024). `variant="torchvision"` has batch norm in place of
local response normalization, 3x3 where the paper has 5x5, a last pool of 2x2, and auxiliary heads
that pool adaptively to 4x4.

Example:
    >>> import jax
    >>> from cnnjax import models
    >>> net = models.create_model("googlenet", aux_heads=False)
    >>> images = jax.ShapeDtypeStruct((1, 224, 224, 3), "float32")
    >>> variables = jax.eval_shape(net.init, jax.random.key(0), images)
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    6998552
"""

import functools
from typing import Any, ClassVar, Literal

import flax.linen as linen
from flax.linen import initializers
from jaxtyping import Array, Float

from cnnjax import nn
from cnnjax.models.blocks.conv_unit import ConvUnit
from cnnjax.models.blocks.flat import flat
from cnnjax.models.blocks.inception import FORMS
from cnnjax.models.info import ModelInfo, torchvision_prints
from cnnjax.models.initializers import GLOROT_UNIFORM, Initializers, same
from cnnjax.models.net import ChoiceNet
from cnnjax.models.registry import Entry, register
from cnnjax.models.statistics import IMAGENET_255_CENTERED, SYMMETRIC

Images = Float[Array, "batch height width channels"]

# Szegedy et al., 2014, table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
COLUMNS: dict[str, tuple[int, int, int, int, int, int]] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
# The auxiliary heads, by the modules that they are on (section 5).
HEADS = {"4a": "aux1", "4d": "aux2"}


class AuxiliaryHead(linen.Module):
    """A classifier on a middle layer: average pool 5x5 of stride 3, 1x1 conv 128, dense 1024.

    Attributes:
        num_classes: number of logits.
        unit, dense, avg_pool: make the layers.
        activate: the activation.
        classifier_init: initializer of the last layer.
        adaptive: whether the pool's result is 4x4 for every size, as in torchvision.
        train: whether dropout is on.

    Source: Szegedy et al., 2014, section 5.
    """

    num_classes: int
    unit: Any
    dense: Any
    avg_pool: Any
    activate: Any
    classifier_init: Any
    adaptive: bool
    train: bool

    REMEDY: ClassVar[str] = "set aux_heads=False for images of another size than in training"

    @linen.compact
    def __call__(self, x: Images) -> Float[Array, "batch classes"]:
        """Returns logits.

        Args:
            x: feature maps of the layer that the head is on.
        """
        if self.adaptive:
            x = nn.AdaptiveAvgPool((4, 4), name="pool")(x)
        else:
            x = self.avg_pool(5, 3, name="pool")(x)
        x = self.unit(128, (1, 1), name="conv")(x)
        x = self.activate(self.dense(1024, name="fc1")(flat(self, "fc1", x, self.REMEDY)))
        # Section 5 gives 70 % for the heads, more than before the last layer.
        x = linen.Dropout(0.7, deterministic=not self.train)(x)
        return self.dense(self.num_classes, kernel_init=self.classifier_init, name="classifier")(x)


class GoogLeNet(ChoiceNet):
    """GoogLeNet: a stem, nine Inception modules, a global average, a dense layer.

    Auxiliary logits, after 4a and 4d, are the features "aux1" and "aux2"; their loss has weight
    0.3 each. Their dense layers fit the image size with which the variables were made (unless
    `adaptive_heads`): for images of another size, set `aux_heads=False`. Smallest input
    79x79 (a 5x5 map after 4a), without the heads 31x31.

    Attributes:
        norm: what follows each convolution: "none", "batch" or "group" (of epsilon 1e-3); see
            `ChoiceNet`.
        response_norm: whether the stem has local response normalization.
        module: "bottleneck"; or "naive", whose convolutions have the same channels, but no 1x1
            reductions before them, and whose pool keeps all channels of its input.
        five: size of the modules' "5x5" kernel.
        last_pool: size of the pool before 5a, of stride 2.
        aux_heads: whether there are auxiliary heads.
        adaptive_heads: whether these pool to 4x4 for every size.
        dropout_rate: before the last layer.
        remat: whether the backward pass computes a module's activations again, keeping its input.
    """

    norm: Literal["batch", "group", "none"] = "none"
    response_norm: bool = True
    module: Literal["bottleneck", "naive"] = "bottleneck"
    five: int = 5
    last_pool: int = 3
    aux_heads: bool = True
    adaptive_heads: bool = False
    dropout_rate: float = 0.4
    remat: bool = False

    counts: ClassVar[tuple[str, ...]] = ("five", "last_pool")
    rates: ClassVar[tuple[str, ...]] = ("dropout_rate",)
    classifiers: ClassVar[tuple[str, ...]] = ("classifier", "aux1/classifier", "aux2/classifier")
    paper_initializers: ClassVar[Initializers] = same(GLOROT_UNIFORM)

    @linen.nowrap
    def field_choices(self) -> dict[str, tuple]:
        """Returns the allowed values of the fields added here, by field."""
        return {"module": tuple(FORMS)}

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> Float[Array, "batch classes"]:
        """Returns logits.

        Args:
            x: images.
            train: whether dropout is on (stream "dropout"), and batch norms use the batch.
        """
        norm = None if self.needs_bias else self.norm_layer(train, epsilon=1e-3)
        unit = functools.partial(ConvUnit, conv=self.conv, norm=norm, activate=self.activate)
        form, columns = FORMS[self.module]
        module = linen.remat(form) if self.remat else form
        # Rounded up, a 3x3 pool without padding halves the size, as in the paper's table.
        pool = functools.partial(self.max_pool, strides=2, ceil_mode=True)

        x = unit(64, (7, 7), strides=2, padding=3, name="conv1")(x)
        x = pool(3, name="pool1")(self.feature("conv1", x))
        x = self.respond("norm1", x)
        x = unit(64, (1, 1), name="conv2_reduce")(x)
        x = self.respond("norm2", unit(192, (3, 3), name="conv2")(x))
        x = pool(3, name="pool2")(self.feature("conv2", x))
        pools = {"3b": pool(3, name="pool3"), "4e": pool(self.last_pool, name="pool4")}
        for name, widths in COLUMNS.items():
            layers = (unit, self.five, self.backward)
            x = module(widths[columns], *layers, name=f"inception_{name}")(x)
            x = self.feature(name, x)
            if name in pools:
                x = pools[name](x)
            if name in HEADS:
                self.auxiliary(HEADS[name], x, unit, train)
        x = self.feature("pooled", x.mean(axis=(1, 2)))
        return self.logits(linen.Dropout(self.dropout_rate, deterministic=not train)(x))

    def respond(self, name: str, x: Images) -> Images:
        """Returns `x` after local response normalization, or itself where this form has none.

        Args:
            name: of the layer.
            x: feature maps.
        """
        return self.response_norm_layer(name=name)(x) if self.response_norm else x

    def auxiliary(self, name: str, x: Images, unit: Any, train: bool) -> None:
        """Computes an auxiliary head's logits as a feature, where they are needed.

        Args:
            name: of the head and the feature.
            x: feature maps.
            unit: makes a convolution with its activation.
            train: whether dropout is on.
        """
        if self.aux_heads and self.wants_auxiliary(name):
            head = AuxiliaryHead(
                self.num_classes,
                unit,
                self.dense,
                self.avg_pool,
                self.activate,
                self.initializers.classifier,
                self.adaptive_heads,
                train,
                name=name,
            )
            self.feature(name, head(x))


class TorchvisionGoogLeNet(GoogLeNet):
    """torchvision's form: batch norm, 3x3 for 5x5, a last pool of 2x2, adaptive heads."""

    norm: Literal["batch", "group", "none"] = "batch"
    response_norm: bool = False
    five: int = 3
    last_pool: int = 2
    adaptive_heads: bool = True
    dropout_rate: float = 0.2

    paper_initializers: ClassVar[Initializers] = same(initializers.truncated_normal(0.01))


register(
    GoogLeNet,
    ModelInfo(
        "googlenet",
        "Szegedy et al., 2014",
        input_size=(224, 224, 3),
        parameters=6_998_552,
        auxiliary_parameters=13_378_280 - 6_998_552,
        multiply_adds="1.583 G",
        errors="top-5 10.07 (one crop), 9.15 (10), 7.89 (144); seven networks 8.09, 7.62, 6.67",
        notes="Constants of LRN and the initialization are not published.",
        **IMAGENET_255_CENTERED,
    ),
    variants={
        "torchvision": Entry(
            TorchvisionGoogLeNet,
            {},
            ModelInfo(
                "googlenet",
                "torchvision",
                input_size=(224, 224, 3),
                parameters=6_624_904,
                auxiliary_parameters=13_004_888 - 6_624_904,
                multiply_adds="1.498 G",
                published=torchvision_prints(6_624_904, "1.498 G"),
                **SYMMETRIC,
            ),
            {},
        ),
        "naive": Entry(
            GoogLeNet,
            {"module": "naive"},
            ModelInfo(
                "googlenet",
                "Szegedy et al., 2014, figure 2 (a), in the columns of table 1",
                input_size=(224, 224, 3),
                parameters=97_526_008,
                auxiliary_parameters=6_748_368,
                multiply_adds="12.568 G",
                notes="The paper has no network of naive modules.",
                **IMAGENET_255_CENTERED,
            ),
            {},
        ),
    },
)
