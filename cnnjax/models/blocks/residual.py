"""The residual blocks of ResNet, ResNeXt and the wide forms, and their shortcuts."""

import functools
from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from flax.linen import initializers
from jaxtyping import Array, Float

from cnnjax import ops

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch rows columns features"]


class BasicBlock(linen.Module):
    """Two 3x3 convolutions and a shortcut; rectified after the addition.

    Attributes:
        features: channels of the block's stage.
        strides: of the first convolution.
        shortcut: "A", "B", "C", or "none" for a plain network; see `Shortcut`.
        conv: makes a convolution.
        norm: makes a normalization.
        gamma_init: initializer of the last normalization's scale.
        activate: the activation.
        dilation: of both convolutions.

    Source: He et al., 2015, figure 5 left.
    """

    features: int
    strides: int
    shortcut: str
    conv: Any
    norm: Any
    gamma_init: Any
    activate: Any = ops.relu
    dilation: int = 1

    @linen.compact
    def __call__(self, x: Images) -> Maps:
        """Applies the block.

        Args:
            x: feature maps.
        """
        spread = {"padding": self.dilation, "kernel_dilation": self.dilation}
        y = self.conv(self.features, (3, 3), strides=self.strides, name="conv1", **spread)(x)
        y = self.activate(self.norm(name="bn1")(y))
        y = self.conv(self.features, (3, 3), name="conv2", **spread)(y)
        y = self.norm(scale_init=self.gamma_init, name="bn2")(y)
        if self.shortcut != "none":
            y = y + Shortcut(self.shortcut, y.shape[-1], self.strides, self.conv, self.norm)(x)
        return self.activate(y)


class Bottleneck(linen.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; rectified after the addition.

    Attributes:
        features: channels of the block's stage; the block's output has four times as many.
        strides: of the convolution that `stride_in` names.
        shortcut: "A", "B", "C" or "none"; see `Shortcut`.
        conv: makes a convolution.
        norm: makes a normalization.
        gamma_init: initializer of the last normalization's scale.
        activate: the activation.
        stride_in: "3x3" or "1x1".
        groups: groups of the 3x3 convolution (ResNeXt's cardinality).
        group_width: channels of a group where `features` is 64; grows with `features`.
        dilation: of the 3x3 convolution.

    Source: He et al., 2015, figure 5 right; Xie et al., 2017, figure 3 (c).
    """

    features: int
    strides: int
    shortcut: str
    conv: Any
    norm: Any
    gamma_init: Any
    stride_in: str = "3x3"
    groups: int = 1
    group_width: int = 64
    activate: Any = ops.relu
    dilation: int = 1

    @linen.compact
    def __call__(self, x: Images) -> Maps:
        """Applies the block.

        Args:
            x: feature maps.
        """
        # `group_width` is for the first stage, whose blocks have 64 features; later ones are wider.
        width = self.features * self.group_width // 64 * self.groups
        first, second = (self.strides, 1) if self.stride_in == "1x1" else (1, self.strides)
        y = self.conv(width, (1, 1), strides=first, name="conv1")(x)
        y = self.activate(self.norm(name="bn1")(y))
        y = self.conv(
            width,
            (3, 3),
            strides=second,
            padding=self.dilation,
            kernel_dilation=self.dilation,
            feature_group_count=self.groups,
            name="conv2",
        )(y)
        y = self.activate(self.norm(name="bn2")(y))
        y = self.conv(4 * self.features, (1, 1), name="conv3")(y)
        y = self.norm(scale_init=self.gamma_init, name="bn3")(y)
        if self.shortcut != "none":
            y = y + Shortcut(self.shortcut, y.shape[-1], self.strides, self.conv, self.norm)(x)
        return self.activate(y)


class Shortcut(linen.Module):
    """The connection from a block's input to its output.

    Attributes:
        option: "A": the input itself, at every `strides`-th pixel, with zeros as new channels.
            "B": a 1x1 projection where the shape changes. "C": always a projection.
        features: channels of the block's output.
        strides: of the block.
        conv: makes a convolution.
        norm: makes a normalization.

    Source: He et al., 2015, section 4.1 (options A, B, C).
    """

    option: str
    features: int
    strides: int
    conv: Any
    norm: Any

    @linen.compact
    def __call__(self, x: Images) -> Maps:
        """Returns the input in the shape of the block's output.

        Args:
            x: the block's input.
        """
        # Option B keeps the identity wherever the shapes agree.
        changes = self.strides != 1 or x.shape[-1] != self.features
        if self.option == "C" or (self.option == "B" and changes):
            x = self.conv(self.features, (1, 1), strides=self.strides, name="conv")(x)
            return self.norm(name="bn")(x)
        if not changes:
            return x
        x = x[:, :: self.strides, :: self.strides]
        return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, self.features - x.shape[-1])))


def residual_block(net: Any, conv: Any, norm: Any) -> functools.partial:
    """Returns what makes a block of a ResNet, given its channels and strides.

    Args:
        net: the network, whose fields are the block's form.
        conv: makes a convolution.
        norm: makes a normalization.
    """
    gamma_init = initializers.zeros if net.zero_init_gamma else initializers.ones
    layers = {"conv": conv, "norm": norm, "activate": net.activate}
    common = {**layers, "gamma_init": gamma_init, "shortcut": net.shortcut}
    if not net.bottleneck:
        return functools.partial(BasicBlock, **common)
    groups = {"groups": net.groups, "group_width": net.group_width}
    return functools.partial(Bottleneck, stride_in=net.stride_in, **groups, **common)
