"""Inception-v3: Inception modules with factorized convolutions, in torchvision's form.

Modules are written as in `blocks.mixed`. The paper does not give the modules' widths; these are the
reference implementation's. Average pools count their padding.

Example:
    >>> import jax
    >>> from cnnjax import models
    >>> net = models.create_model("inception_v3", aux_heads=False)
    >>> images = jax.ShapeDtypeStruct((1, 299, 299, 3), "float32")
    >>> variables = jax.eval_shape(net.init, jax.random.key(0), images)
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    23834568
"""

import dataclasses
import functools
from typing import Any, ClassVar, Literal

import flax.linen as linen
from flax.linen import initializers
from jaxtyping import Array, Float

from cnnjax.models.blocks.conv_unit import ConvUnit
from cnnjax.models.blocks.mixed import Branches, Mixed
from cnnjax.models.info import ModelInfo, torchvision_prints
from cnnjax.models.initializers import Initializers
from cnnjax.models.net import Net
from cnnjax.models.registry import Entry, register
from cnnjax.models.statistics import SYMMETRIC

Images = Float[Array, "batch height width channels"]


# What the paper's first modules have for a 5x5 convolution: the reference implementation keeps one
# in each; the paper's figure 5 has two 3x3 in its place. It gives no widths: both have 64 here.
FIVE = {"5x5": "64 5x5", "two_3x3": "64 3x3, 64 3x3"}


def grid35(pool: int, five: str) -> Branches:
    """Returns a module on the 35x35 grid.

    Args:
        pool: channels of the pool branch.
        five: a key of `FIVE`.

    Source: Szegedy et al., 2015, figure 5.
    """
    return ("64 1x1", f"48 1x1, {FIVE[five]}", "64 1x1, 96 3x3, 96 3x3", f"avg, {pool} 1x1")


def grid17(n: int) -> Branches:
    """Returns a module on the 17x17 grid, with 7x7 as 1x7 and 7x1.

    Args:
        n: channels of the units before the last of a branch.

    Source: Szegedy et al., 2015, figure 6.
    """
    return (
        "192 1x1",
        f"{n} 1x1, {n} 1x7, 192 7x1",
        f"{n} 1x1, {n} 7x1, {n} 1x7, {n} 7x1, 192 1x7",
        "avg, 192 1x1",
    )


# Szegedy et al., 2015, figure 10: smaller maps without a bottleneck in the pool.
TO_17 = ("384 3x3/2", "64 1x1, 96 3x3, 96 3x3/2", "max")
TO_8 = ("192 1x1, 320 3x3/2", "192 1x1, 192 1x7, 192 7x1, 192 3x3/2", "max")

# Szegedy et al., 2015, figure 7: wide filter banks on the coarsest maps.
GRID_8 = (
    "320 1x1",
    "384 1x1, 384 1x3 | 384 3x1",
    "448 1x1, 384 3x3, 384 1x3 | 384 3x1",
    "avg, 192 1x1",
)

# The auxiliary head is on the last 17x17 grid.
HEAD = "6e"


def modules(five: str) -> dict[str, Branches]:
    """Returns the eleven modules by name.

    Args:
        five: a key of `FIVE`.
    """
    return {
        "5b": grid35(32, five),
        "5c": grid35(64, five),
        "5d": grid35(64, five),
        "6a": TO_17,
        "6b": grid17(128),
        "6c": grid17(160),
        "6d": grid17(160),
        "6e": grid17(192),
        "7a": TO_8,
        "7b": GRID_8,
        "7c": GRID_8,
    }


class AuxiliaryHead(linen.Module):
    """A classifier on the last 17x17 grid; pools its last map to 1x1, so that any size works.

    Attributes:
        num_classes: number of logits.
        unit, last_unit: make the 1x1 and the 5x5 convolution with batch norm and rectifier.
        avg_pool, dense: make the other layers.
        classifier_init: initializer of the dense layer.

    Source: Szegedy et al., 2015, section 4 and figure 8.
    """

    num_classes: int
    unit: Any
    last_unit: Any
    avg_pool: Any
    dense: Any
    classifier_init: Any

    @linen.compact
    def __call__(self, x: Images) -> Float[Array, "batch classes"]:
        """Returns logits.

        Args:
            x: feature maps of the layer that the head is on.
        """
        x = self.unit(128, (1, 1), name="conv1")(self.avg_pool(5, 3, name="pool")(x))
        x = self.last_unit(768, (5, 5), padding="VALID", name="conv2")(x)
        dense = self.dense(self.num_classes, kernel_init=self.classifier_init, name="classifier")
        return dense(x.mean(axis=(1, 2)))


class InceptionV3(Net):
    """Inception-v3: a stem, eleven modules, a global average, a dense layer.

    Auxiliary logits, from the last 17x17 grid, are the feature "aux1"; their loss has weight 0.3
    to 0.4. Smallest input 75x75; with the auxiliary head, which needs a 17x17 grid, 299x299
    (for smaller images, set `aux_heads=False`).

    Attributes:
        five: of the modules on the 35x35 grid: "5x5", as in the reference implementation and
            torchvision, or "two_3x3", two 3x3 of as many channels in its place (figure 5).
        aux_heads: whether there is an auxiliary head.
        dropout_rate: before the last layer.
        remat: whether the backward pass computes a module's activations again, keeping its input.
    """

    five: Literal["5x5", "two_3x3"] = "5x5"
    aux_heads: bool = True
    dropout_rate: float = 0.5
    remat: bool = False

    rates: ClassVar[tuple[str, ...]] = ("dropout_rate",)
    classifiers: ClassVar[tuple[str, ...]] = ("classifier", "aux1/classifier")
    paper_initializers: ClassVar[Initializers] = Initializers(
        conv=initializers.truncated_normal(0.1),
        dense=initializers.truncated_normal(0.1),
        classifier=initializers.truncated_normal(0.1),
    )

    @linen.nowrap
    def field_choices(self) -> dict[str, tuple]:
        """Returns the allowed values of the fields added here, by field."""
        return {"five": tuple(FIVE)}

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> Float[Array, "batch classes"]:
        """Returns logits.

        Args:
            x: images.
            train: whether dropout is on (stream "dropout"), and batch norms use the batch.
        """
        unit = functools.partial(
            ConvUnit, conv=self.conv, norm=self.norm_layer(train, epsilon=1e-3)
        )
        mixed = linen.remat(Mixed) if self.remat else Mixed

        x = unit(32, (3, 3), strides=2, padding="VALID", name="conv1a")(x)
        x = unit(32, (3, 3), padding="VALID", name="conv2a")(x)
        x = self.feature("conv2b", unit(64, (3, 3), name="conv2b")(x))
        x = self.max_pool(3, 2, name="pool1")(x)
        x = unit(80, (1, 1), name="conv3b")(x)
        x = self.feature("conv4a", unit(192, (3, 3), padding="VALID", name="conv4a")(x))
        x = self.max_pool(3, 2, name="pool2")(x)
        for name, branches in modules(self.five).items():
            module = mixed(branches, unit, self.avg_pool, self.max_pool, name=f"mixed_{name}")
            x = self.feature(name, module(x))
            if name == HEAD and self.aux_heads and self.wants_auxiliary("aux1"):
                self.feature("aux1", self.auxiliary_head(unit)(x))
        x = self.feature("pooled", x.mean(axis=(1, 2)))
        return self.logits(linen.Dropout(self.dropout_rate, deterministic=not train)(x))

    def auxiliary_head(self, unit: Any) -> AuxiliaryHead:
        """Returns the auxiliary head; its paper's initialization is smaller than the network's.

        Args:
            unit: makes a convolution with batch norm and rectifier.
        """
        last_unit, classifier_init = unit, self.initializers.classifier
        # The reference implementation starts the head with smaller kernels.
        if self.initialization == "paper":
            conv = functools.partial(self.conv, kernel_init=initializers.truncated_normal(0.01))
            last_unit = functools.partial(unit, conv=conv)
            classifier_init = initializers.truncated_normal(0.001)
        return AuxiliaryHead(
            self.num_classes,
            unit,
            last_unit,
            self.avg_pool,
            self.dense,
            classifier_init,
            name="aux1",
        )


_INFO = ModelInfo(
    "inception_v3",
    "Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, 2015; torchvision's form",
    input_size=(299, 299, 3),
    parameters=23_834_568,
    auxiliary_parameters=27_161_264 - 23_834_568,
    multiply_adds="5.713 G",
    errors="top-1/top-5 21.2/5.6 (one crop)",
    notes="Widths are the reference implementation's, which the paper leaves open.",
    published=torchvision_prints(27_161_264, "5.713 G", heads=True),
    **SYMMETRIC,
)

_TWO_3X3 = dataclasses.replace(
    _INFO,
    source="Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, 2015, figure 5",
    parameters=23_798_088,
    multiply_adds="5.668 G",
    errors=None,
    published=None,
    notes="The paper gives no widths: both 3x3 have those of the reference implementation's 5x5.",
)
_VARIANTS = {
    "torchvision": Entry(InceptionV3, {}, _INFO, {}),
    "two_3x3": Entry(InceptionV3, {"five": "two_3x3"}, _TWO_3X3, {}),
}
register(InceptionV3, _INFO, variants=_VARIANTS)
