"""SqueezeNet: AlexNet's error with a fiftieth of its parameters.

A fire module squeezes its input to few channels by 1x1 convolutions, and expands these by 1x1 and
3x3 convolutions side by side: 3x3 filters, the expensive ones, see few channels. There is no dense
layer: a 1x1 convolution has a map for each class, whose rectified average is the logit. Pools come
late, so that most layers have large maps. Version 1.1 pools earlier, and has a smaller stem.

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("squeezenet1_1")
    >>> for feature in models.feature_info(net, (224, 224, 3)):
    ...     print(feature.name, feature.shape)
    conv1 (111, 111, 64)
    fire2 (55, 55, 128)
    fire3 (55, 55, 128)
    fire4 (27, 27, 256)
    fire5 (27, 27, 256)
    fire6 (13, 13, 384)
    fire7 (13, 13, 384)
    fire8 (13, 13, 512)
    fire9 (13, 13, 512)
    scores (13, 13, 1000)
"""

import functools
from typing import Any, ClassVar, Literal

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax.models.info import ModelInfo, torchvision_prints
from cnnjax.models.initializers import Initializers
from cnnjax.models.net import ChoiceNet
from cnnjax.models.registry import Entry, register
from cnnjax.models.statistics import IMAGENET

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch rows columns features"]

# Table 1, and the authors' repository for 1.1: channels of each fire module's squeeze, and of both
# of its expansions. A 3x3 max pool of stride 2 comes before each group.
V1_0 = (((16, 64), (16, 64), (32, 128)), ((32, 128), (48, 192), (48, 192), (64, 256)), ((64, 256),))
V1_1 = (((16, 64), (16, 64)), ((32, 128), (32, 128)), ((48, 192), (48, 192), (64, 256), (64, 256)))

# Caffe's "xavier", which the authors' files name: uniform, with a variance of 1 / fan-in.
_CAFFE_XAVIER = linen.initializers.lecun_uniform()


class Fire(linen.Module):
    """A 1x1 convolution, then 1x1 and 3x3 convolutions side by side, each before an activation.

    Attributes:
        squeeze: channels of the first convolution.
        expand: channels of each of the other two.
        conv, norm: make the layers.
        activate: the activation.

    Source: Iandola et al., 2016, figure 1 and section 3.2.
    """

    squeeze: int
    expand: int
    conv: Any
    norm: Any
    activate: Any

    @linen.compact
    def __call__(self, x: Images) -> Float[Array, "batch height width features"]:
        """Returns 2 * expand channels.

        Args:
            x: feature maps.
        """
        x = self.conv(self.squeeze, (1, 1), name="squeeze")(x)
        x = self.activate(self.norm(name="squeeze_bn")(x))
        one = self.conv(self.expand, (1, 1), name="expand1x1")(x)
        three = self.conv(self.expand, (3, 3), padding=1, name="expand3x3")(x)
        both = jnp.concatenate([one, three], axis=-1)
        return self.activate(self.norm(name="expand_bn")(both))


class SqueezeNet(ChoiceNet):
    """A convolution, groups of fire modules after a pool each, a 1x1 convolution, an average.

    Smallest input of version 1.0 21x21, of 1.1 17x17. Images of any larger size work.

    Attributes:
        fires: channels of the fire modules, group by group: (squeeze, expand).
        stem_width: channels of the first convolution, of stride 2.
        stem_kernel: its kernel's height and width.
        bypass: whether the input of each fire module that keeps the channels is added to its
            output (the paper's simple bypass).
        norm: what follows each convolution but the last: "none", "batch" or "group"; see
            `ChoiceNet`.
        dropout_rate: of the last fire module's output.
        remat: whether the backward pass computes a module's activations again, keeping its input.
    """

    fires: tuple[tuple[tuple[int, int], ...], ...] = V1_0
    stem_width: int = 96
    stem_kernel: int = 7
    bypass: bool = False
    norm: Literal["batch", "group", "none"] = "none"
    dropout_rate: float = 0.5
    remat: bool = False

    counts: ClassVar[tuple[str, ...]] = ("fires", "stem_width", "stem_kernel")
    rates: ClassVar[tuple[str, ...]] = ("dropout_rate",)
    # The authors' Caffe files: N(0, 0.01) for the last convolution.
    paper_initializers: ClassVar[Initializers] = Initializers(
        _CAFFE_XAVIER, _CAFFE_XAVIER, linen.initializers.normal(0.01)
    )

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> Float[Array, "batch classes"]:
        """Returns logits.

        Args:
            x: images.
            train: whether dropout is on (stream "dropout"), and batch norms use the batch.
        """
        conv = functools.partial(self.conv, use_bias=self.needs_bias)
        norm, number = self.norm_layer(train), 1
        parts = {"conv": conv, "norm": norm, "activate": self.activate}
        fire = functools.partial(linen.remat(Fire) if self.remat else Fire, **parts)
        size = (self.stem_kernel, self.stem_kernel)
        x = conv(self.stem_width, size, strides=2, padding=0, name="conv1")(x)
        x = self.feature("conv1", self.activate(norm(name="bn1")(x)))
        for group in self.fires:
            # Rounded up as in Caffe.
            x = self.max_pool(3, 2, ceil_mode=True, name=f"pool{number}")(x)
            for squeeze, expand in group:
                number += 1
                y = fire(squeeze, expand, name=f"fire{number}")(x)
                x = x + y if self.bypass and y.shape == x.shape else y
                x = self.feature(f"fire{number}", x)
        x = linen.Dropout(self.dropout_rate, deterministic=not train)(x)
        return self.feature("scores", self.activate(self.class_maps(x))).mean(axis=(1, 2))

    def class_maps(self, x: Images) -> Float[Array, "batch height width classes"]:
        """Applies the 1x1 convolution "classifier", which has a map for each class.

        Args:
            x: feature maps.
        """
        kernel_init = self.initializers.classifier
        return self.conv(self.num_classes, (1, 1), kernel_init=kernel_init, name="classifier")(x)


def _register(
    name: str, source: str, parameters: int, multiply_adds: str, notes: str, **settings: Any
) -> None:
    """Registers a version, with the variants "torchvision", which is the same, and "bypass"."""

    def entry(errors: str | None, **more: Any) -> Entry:
        info = ModelInfo(
            name,
            source,
            input_size=(224, 224, 3),
            parameters=parameters,
            multiply_adds=multiply_adds,
            errors=errors,
            notes=notes,
            published=torchvision_prints(parameters, multiply_adds) if not more else None,
            **IMAGENET,
        )
        return Entry(SqueezeNet, {**settings, **more}, info, {})

    # Tables 2 and 3, both of version 1.0.
    first = name == "squeezenet1_0"
    default = entry("top-1/top-5 42.5/19.7" if first else None)
    variants = {"torchvision": default}
    variants["bypass"] = entry("top-1/top-5 39.6/17.5" if first else None, bypass=True)
    register(SqueezeNet, default.info, variants=variants, **settings)


_SOURCE = "Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer, 2016"

_register(
    "squeezenet1_0",
    f"{_SOURCE}, table 1",
    1_248_424,
    "0.819 G",
    "The paper's maps of 111x111 are those of 227x227 images.",
)
_register(
    "squeezenet1_1",
    f"{_SOURCE}; version 1.1 of the authors' repository",
    1_235_496,
    "0.349 G",
    "The authors state the error of version 1.0.",
    fires=V1_1,
    stem_width=64,
    stem_kernel=3,
)
