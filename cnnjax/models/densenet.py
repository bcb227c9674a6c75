"""DenseNet: each layer sees the concatenation of all maps before it in its block.

A ResNet adds a block's output to its input; a DenseNet puts the new maps beside the old ones, so
that a layer makes few new maps (the growth rate) and no map is overwritten. Between blocks a
transition reduces the channels and halves the size. The forms "BC" have bottlenecks (1x1
convolutions to four times the growth rate) and compress the channels by half; ImageNet's all are.
A transition rectifies before its convolution, and dropout follows each convolution but the first,
as in the authors' code.

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("densenet13_12_cifar")
    >>> for feature in models.feature_info(net, (32, 32, 3)):
    ...     print(feature.name, feature.shape)
    stem (32, 32, 16)
    block1 (32, 32, 52)
    block2 (16, 16, 88)
    block3 (8, 8, 124)
    final (8, 8, 124)
    pooled (124,)
"""

import functools
from typing import Any, ClassVar, Literal

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax.models.blocks.dense_layers import DenseLayer, Transition
from cnnjax.models.info import ModelInfo, Published, torchvision_prints
from cnnjax.models.initializers import HE_NORMAL, Initializers, same
from cnnjax.models.net import ChoiceNet
from cnnjax.models.registry import Entry, register, register_family
from cnnjax.models.statistics import CIFAR, IMAGENET

Images = Float[Array, "batch height width channels"]


class DenseNet(ChoiceNet):
    """A stem, dense blocks with transitions between them, a global average, a dense layer.

    Smallest input with four blocks 29x29 (ImageNet's stem), with three 4x4 (CIFAR's). A block of L
    layers keeps copies of about L^2 / 2 layers' maps for the backward pass, since each layer joins
    the earlier ones anew; `remat` keeps L and joins them again (Pleiss et al., 2017).

    Attributes:
        blocks: number of layers in each block.
        growth: number of maps that each layer adds, the paper's k.
        bottleneck: whether a layer has a 1x1 convolution before its 3x3.
        compression: share of the channels that a transition keeps, above 0.
        stem: "imagenet" (7x7 of stride 2, 3x3 max pool of stride 2) or "cifar" (3x3).
        stem_width: channels of the stem.
        dropout_rate: of the outputs of all convolutions but the first.
        remat: whether the backward pass computes a layer's activations again, keeping its input.
    """

    blocks: tuple[int, ...] = (6, 12, 24, 16)
    growth: int = 32
    bottleneck: bool = True
    compression: float = 0.5
    stem: Literal["imagenet", "cifar"] = "imagenet"
    stem_width: int = 64
    dropout_rate: float = 0.0
    remat: bool = False

    counts: ClassVar[tuple[str, ...]] = ("blocks", "growth", "stem_width")
    rates: ClassVar[tuple[str, ...]] = ("dropout_rate",)
    # Section 4.2 refers to He et al., 2015, "Delving deep into rectifiers".
    paper_initializers: ClassVar[Initializers] = same(HE_NORMAL)

    def __post_init__(self) -> None:
        """Checks the values of the fields.

        Raises:
            ValueError: a value is not allowed; the message names the field and the allowed values.
        """
        super().__post_init__()
        self.check_values("compression", _is_share, "a number above 0 and at most 1")

    @linen.nowrap
    def field_choices(self) -> dict[str, tuple]:
        """Returns the allowed values of the fields added here, by field."""
        return {"stem": ("imagenet", "cifar")}

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> Float[Array, "batch classes"]:
        """Returns logits.

        Args:
            x: images.
            train: whether batch norms use the batch, and dropout is on (stream "dropout").
        """
        conv = functools.partial(self.conv, use_bias=self.needs_bias)
        norm = self.norm_layer(train)
        dropout = functools.partial(linen.Dropout, self.dropout_rate, deterministic=not train)
        common = {"conv": conv, "norm": norm, "dropout": dropout, "activate": self.activate}
        layer = functools.partial(DenseLayer, self.growth, self.bottleneck, **common)
        transition = functools.partial(Transition, avg_pool=self.avg_pool, **common)

        if self.stem == "imagenet":
            x = conv(self.stem_width, (7, 7), strides=2, padding=3, name="conv1")(x)
            x = self.feature("stem", self.activate(norm(name="bn1")(x)))
            x = self.max_pool(3, 2, padding=1, name="pool1")(x)
        else:
            x = self.feature("stem", conv(self.stem_width, (3, 3), padding=1, name="conv1")(x))
        apply = linen.remat(_apply) if self.remat else _apply
        for number, count in enumerate(self.blocks, start=1):
            if number > 1:
                # The paper rounds down.
                kept = int(self.compression * x.shape[-1])
                x = transition(kept, name=f"transition{number - 1}")(x)
            maps = (x,)
            for place in range(1, count + 1):
                maps = (*maps, apply(layer(name=f"block{number}_layer{place}"), *maps))
            x = self.feature(f"block{number}", jnp.concatenate(maps, axis=-1))
        x = self.feature("final", self.activate(norm(name="final_bn")(x)))
        return self.logits(self.feature("pooled", x.mean(axis=(1, 2))))


def _is_share(value: Any) -> bool:
    """Returns whether a value is a number above 0 and at most 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1


def _apply(layer: linen.Module, *maps: Array) -> Array:
    return layer(*maps)


_SOURCE = "Huang, Liu, van der Maaten and Weinberger, 2017"


def _register_imagenet(
    depth: int,
    blocks: tuple[int, ...],
    parameters: int,
    multiply_adds: str,
    errors: str,
    **settings: Any,
) -> None:
    """Registers an ImageNet network; torchvision's form is the same."""
    info = ModelInfo(
        f"densenet{depth}",
        f"{_SOURCE}, table 1",
        input_size=(224, 224, 3),
        parameters=parameters,
        multiply_adds=multiply_adds,
        errors=errors,
        published=torchvision_prints(parameters, multiply_adds),
        **IMAGENET,
    )
    settings = {"blocks": blocks, **settings}
    variants = {"torchvision": Entry(DenseNet, settings, info, {})}
    register(DenseNet, info, variants=variants, **settings)


_register_imagenet(
    121, (6, 12, 24, 16), 7_978_856, "2.834 G", "top-1/top-5 25.02/7.71 (one crop), 23.61/6.66 (10)"
)
_register_imagenet(
    161,
    (6, 12, 36, 24),
    28_681_000,
    "7.728 G",
    "top-1 22.2 (one crop; the authors' repository)",
    growth=48,
    stem_width=96,
)
_register_imagenet(
    169,
    (6, 12, 32, 32),
    14_149_480,
    "3.360 G",
    "top-1/top-5 23.80/6.85 (one crop), 22.08/5.92 (10)",
)
_register_imagenet(
    201,
    (6, 12, 48, 32),
    20_013_928,
    "4.291 G",
    "top-1/top-5 22.58/6.34 (one crop), 21.46/5.54 (10)",
)

# Parameters and multiply-adds as counted; of table 2, parameters and errors on CIFAR-10 and
# CIFAR-100, first with augmentation and then without it, which needs dropout. By bottlenecks and
# compression, depth and growth rate.
_CIFAR: dict[tuple[bool, int, int], tuple[int, str, str, str]] = {
    (False, 40, 12): (1_019_722, "264.81 M", "1.0 M", "5.24, 24.42; 7.00, 27.55"),
    (False, 100, 12): (6_979_642, "1,769.52 M", "7.0 M", "4.10, 20.20; 5.77, 23.79"),
    (False, 100, 24): (27_249_082, "6,889.35 M", "27.2 M", "3.74, 19.25; 5.83, 23.42"),
    (True, 100, 12): (769_162, "287.93 M", "0.8 M", "4.51, 22.27; 5.92, 24.15"),
    (True, 190, 40): (25_624_430, "9,301.95 M", "25.6 M", "3.46, 17.18"),
    (True, 250, 24): (15_324_406, "5,418.79 M", "15.3 M", "3.62, 17.60; 5.19, 19.64"),
}


def cifar_entry(depth: str, growth: str, form: str | None = None) -> Entry:
    """Returns the CIFAR network of a depth, a growth rate and a form.

    Args:
        depth: number of layers, as text: 3n + 4, or 6n + 4 with bottlenecks.
        growth: maps that each layer adds, as text: at least 1.
        form: "_bc" for bottlenecks and compression, else None.

    Raises:
        ValueError: the depth is not of that form, or the growth rate is 0.
    """
    layers, width, bottleneck = int(depth), int(growth), form is not None
    each = 6 if bottleneck else 3
    if layers < each + 4 or (layers - 4) % each or width < 1:
        raise ValueError(
            f"densenet{form or ''}{depth}_{growth}_cifar: the depth must be {each}n + 4 "
            f"({each + 4}, {2 * each + 4}, {3 * each + 4}, ...) and the growth rate at least 1, "
            f"got {depth} and {growth}"
        )
    figures = _CIFAR.get((bottleneck, layers, width), (None, None, None, ""))
    parameters, multiply_adds, printed, errors = figures
    augmented, _, plain = errors.partition("; ")
    info = ModelInfo(
        f"densenet{form or ''}{layers}_{width}_cifar",
        f"{_SOURCE}, table 2",
        input_size=(32, 32, 3),
        parameters=parameters,
        multiply_adds=multiply_adds,
        errors=(
            f"CIFAR-10, CIFAR-100 {augmented}"
            + (f"; without augmentation, with dropout 0.2: {plain}" if plain else "")
            if augmented
            else None
        ),
        published=Published("table 2", printed) if printed else None,
        **CIFAR,
    )
    settings = {
        "num_classes": 10,
        "blocks": ((layers - 4) // each,) * 3,
        "growth": width,
        "bottleneck": bottleneck,
        "compression": 0.5 if bottleneck else 1.0,
        "stem": "cifar",
        "stem_width": 2 * width if bottleneck else 16,
    }
    return Entry(DenseNet, settings, info, {})


for _depth, _growth, _form in (("40", "12", None), ("100", "12", None), ("100", "12", "_bc")):
    _entry = cifar_entry(_depth, _growth, _form)
    register(DenseNet, _entry.info, **_entry.settings)
register_family(
    r"densenet(?P<form>_bc)?(?P<depth>\d+)_(?P<growth>\d+)_cifar",
    "densenet<3n+4>_<growth>_cifar and densenet_bc<6n+4>_<growth>_cifar",
    cifar_entry,
)
