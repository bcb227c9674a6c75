"""LeNet: the network of 1989, LeNet-5 of 1998, and LeNet-5 as it is built today.

The paper's LeNet-5 has trainable subsampling, a third layer that is connected to some of the maps
only, and outputs that measure the distance to a picture of each digit. Today's form drops all
three.

Deviations: the 1998 paper's bitmaps of the digits are drawn anew here (they are fixed, 7x12, and
+-1, as there), and the squashing function after the subsampling layers is the scaled tanh as
everywhere else. The 1989 paper does not give its table of connections. Here, four of H2's twelve
maps are connected to maps 0-7, four to 4-11 and four to 8-3. The paper squashes its output units;
here they are plain logits.

Example:
    >>> from cnnjax import models
    >>> for feature in models.feature_info(models.create_model("lenet5"), (32, 32, 1)):
    ...     print(feature.name, feature.shape)
    c1 (28, 28, 6)
    s2 (14, 14, 6)
    c3 (10, 10, 16)
    s4 (5, 5, 16)
    c5 (120,)
    f6 (84,)
"""

from typing import ClassVar

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import nn, ops
from cnnjax.models.blocks.flat import Logits, flat
from cnnjax.models.blocks.lenet import (
    Subsampling,
    UnitBias,
    on_background,
    rbf_codes,
    squash,
)
from cnnjax.models.info import ModelInfo, Published
from cnnjax.models.initializers import Initializers, fan_in_uniform, same
from cnnjax.models.net import Net
from cnnjax.models.registry import register

# LeCun et al., 1998, table I: the maps of S2 that each map of C3 is connected to.
C3_TABLE = (
    (0, 1, 2),
    (1, 2, 3),
    (2, 3, 4),
    (3, 4, 5),
    (0, 4, 5),
    (0, 1, 5),
    (0, 1, 2, 3),
    (1, 2, 3, 4),
    (2, 3, 4, 5),
    (0, 3, 4, 5),
    (0, 1, 4, 5),
    (0, 1, 2, 5),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)

# The 1989 network's H2: eight of the twelve maps of H1, in three patterns of four maps each.
H2_TABLE = (tuple(range(8)),) * 4 + (tuple(range(4, 12)),) * 4 + ((0, 1, 2, 3, 8, 9, 10, 11),) * 4

# LeCun et al., 1998, appendix A: uniform within 2.4 / fan-in.
_PAPER = same(fan_in_uniform(2.4))


class LeNet5(Net):
    """LeNet-5 in today's form: rectifiers, max pooling, all maps connected, a linear head.

    conv 6 5x5, pool, conv 16 5x5, pool, dense 120, 84, 10; no padding. 61,706 parameters at
    32x32x1. Smallest input 16x16. Default initialization: He et al., since the paper's is for
    tanh units.
    """

    num_classes: int = 10
    initialization: str = "he"
    paper_initializers: ClassVar[Initializers] = _PAPER

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], train: bool = False
    ) -> Logits:
        """Returns logits.

        Args:
            x: images.
            train: has no effect in this network.
        """
        x = ops.relu(self.conv(6, (5, 5), padding="VALID", name="c1")(x))
        x = self.feature("s2", self.max_pool(2, name="s2")(self.feature("c1", x)))
        x = ops.relu(self.conv(16, (5, 5), padding="VALID", name="c3")(x))
        x = self.feature("s4", self.max_pool(2, name="s4")(self.feature("c3", x)))
        x = ops.relu(self.dense(120, name="c5")(flat(self, "c5", x)))
        x = ops.relu(self.dense(84, name="f6")(self.feature("c5", x)))
        x = self.feature("f6", x)
        return self.logits(x)


class LeNet5Original(Net):
    """LeNet-5 as published in 1998: 60,000 trainable parameters at 32x32x1.

    The logits are minus the penalties of the RBF outputs, minus the squared distance between F6
    and each class's fixed code, so the likeliest class is the one with the smallest penalty.
    Classes beyond the ten digits get fixed random codes. Smallest input 32x32.
    """

    num_classes: int = 10
    classifiers: ClassVar[tuple[str, ...]] = ()
    paper_initializers: ClassVar[Initializers] = _PAPER

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], train: bool = False
    ) -> Logits:
        """Returns logits.

        Args:
            x: images.
            train: has no effect in this network.
        """
        x = self.feature("c1", squash(self.conv(6, (5, 5), padding="VALID", name="c1")(x)))
        x = self.feature("s2", Subsampling(self.dtype, self.backward, name="s2")(x))
        c3 = nn.SparseConv(
            C3_TABLE,
            (5, 5),
            dtype=self.dtype,
            kernel_init=self.initializers.conv,
            backward=self.backward,
            name="c3",
        )
        x = self.feature("c3", squash(c3(x)))
        x = self.feature("s4", Subsampling(self.dtype, self.backward, name="s4")(x))
        x = self.feature("c5", squash(self.conv(120, (5, 5), padding="VALID", name="c5")(x)))
        x = self.feature("f6", squash(self.dense(84, name="f6")(flat(self, "f6", x))))
        # Constants, not parameters: training must not move the codes.
        codes = jnp.asarray(rbf_codes(self.num_classes), self.dtype)
        return -jnp.sum((x[:, None, :] - codes[None, :, :]) ** 2, axis=-1)


class LeNet1989(Net):
    """The network of 1989 for zip codes: 9,760 parameters at 16x16x1.

    H1 and H2 have stride 2 and one bias for each unit; beyond the border the image continues with
    the background level, -1, so images are expected between -1 and 1. Smallest input 1x1.
    """

    num_classes: int = 10
    paper_initializers: ClassVar[Initializers] = _PAPER

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], train: bool = False
    ) -> Logits:
        """Returns logits.

        Args:
            x: images.
            train: has no effect in this network.
        """
        h1 = self.conv(12, (5, 5), strides=2, padding="VALID", use_bias=False, name="h1")
        x = self.feature("h1", squash(UnitBias(self.dtype, name="h1_bias")(h1(on_background(x)))))
        h2 = nn.SparseConv(
            H2_TABLE,
            (5, 5),
            strides=2,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=self.initializers.conv,
            backward=self.backward,
            name="h2",
        )
        x = self.feature("h2", squash(UnitBias(self.dtype, name="h2_bias")(h2(on_background(x)))))
        x = self.feature("h3", squash(self.dense(30, name="h3")(flat(self, "h3", x))))
        return self.logits(x)


_LENET_1998 = "LeCun, Bottou, Bengio and Haffner, 1998, section II"

register(
    LeNet1989,
    ModelInfo(
        "lenet_1989",
        "LeCun et al., 1989 (zip codes)",
        input_size=(16, 16, 1),
        parameters=9_760,
        mean=(0.5,),
        std=(0.5,),
        notes="H2's table of connections is not published; outputs are not squashed.",
        published=Published("the paper", "9,760"),
    ),
)
register(
    LeNet5,
    ModelInfo(
        "lenet5",
        f"{_LENET_1998}; the form with all maps connected",
        input_size=(32, 32, 1),
        parameters=61_706,
        multiply_adds="416,520",
        errors="MNIST 0.95 (0.8 with distortions), of the 1998 form",
        notes="Rectifiers, max pooling and a linear head in place of the paper's.",
    ),
)
register(
    LeNet5Original,
    ModelInfo(
        "lenet5_1998",
        _LENET_1998,
        input_size=(32, 32, 1),
        parameters=60_000,
        errors="MNIST 0.95 (0.8 with distortions)",
        # White background at -0.1, ink at 1.175 (section II.B): mean about 0, variance about 1.
        mean=(0.1 / 1.275,),
        std=(1 / 1.275,),
        notes="The bitmaps of the ten digits are drawn anew.",
        published=Published("section II", "60,000"),
    ),
)
