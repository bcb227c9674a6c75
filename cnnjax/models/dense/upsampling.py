"""Enlarging feature maps: by repetition, interpolation, remembered switches or learned kernels."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnjax import nn, ops
from cnnjax.ops.accumulation import sum_dtype

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch rows columns features"]

UPSAMPLING = ("nearest", "bilinear", "max_unpool", "transposed")
"""The names of the ways in which networks enlarge their maps."""


def enlarged(
    net: Any, x: Images, factor: int, name: str, switches: nn.Switches | None = None
) -> Maps:
    """Returns maps enlarged in the way that `net.upsampling` names, each channel by itself.

    Transposed convolutions have a kernel for each channel, which starts as bilinear interpolation.

    Args:
        net: the network, within its compact method.
        x: feature maps.
        factor: how many times larger.
        name: of the layer.
        switches: of the pool that is undone, for "max_unpool".
    """
    if net.upsampling == "max_unpool":
        assert switches is not None
        return nn.MaxUnpool(name=name)(x, switches)
    if net.upsampling != "transposed":
        return nn.Upsample(factor, net.upsampling, name=name)(x)
    return transposed(net, x, x.shape[-1], factor, name, groups=x.shape[-1])


def transposed(net: Any, x: Images, features: int, factor: int, name: str, groups: int = 1) -> Maps:
    """Returns maps enlarged by a transposed convolution that starts as bilinear interpolation.

    Args:
        net: the network, within its compact method.
        x: feature maps.
        features: channels of the result.
        factor: how many times larger.
        name: of the layer.
        groups: of the convolution.
    """
    layer = nn.ConvTranspose(
        features,
        # The smallest kernel that interpolates without a gap.
        (2 * factor - factor % 2,) * 2,
        strides=factor,
        use_bias=False,
        dtype=net.dtype,
        backward=net.backward,
        feature_group_count=groups,
        kernel_init=nn.bilinear_init(),
        name=name,
    )
    return layer(x)


def up_convolution(
    net: Any,
    x: Images,
    features: int,
    factor: int,
    name: str,
    switches: nn.Switches | None = None,
) -> Maps:
    """Returns maps enlarged in the way that `net.upsampling` names, with other channels.

    By repetition and interpolation, a 2x2 convolution follows (for a factor of 2) that changes the
    channels; transposed convolutions have such a kernel, too, and start as repetition of a random
    mixture of the channels. Before unpooling, a 1x1 convolution gives as many channels as were
    pooled.

    Args:
        net: the network, within its compact method.
        x: feature maps.
        features: channels of the result, but after "max_unpool".
        factor: how many times larger.
        name: of the layer with weights.
        switches: of the pool that is undone, for "max_unpool".

    Source: Ronneberger et al., 2015, section 2 ("up-convolution").
    """
    if net.upsampling == "max_unpool":
        assert switches is not None
        x = net.conv(switches.places.shape[-1], (1, 1), name=name)(x)
        return nn.MaxUnpool(name=f"{name}_unpool")(x, switches)
    window = (factor, factor)
    if net.upsampling != "transposed":
        x = nn.Upsample(factor, net.upsampling, name=f"{name}_upsample")(x)
        return net.conv(features, window, name=name)(x)
    layer = nn.ConvTranspose(
        features,
        window,
        strides=factor,
        dtype=net.dtype,
        backward=net.backward,
        kernel_init=interpolating_init(factor, net.initializers.conv),
        name=name,
    )
    return layer(x)


def interpolating_init(factor: int, mixing: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Returns an initializer of transposed convolutions that interpolate a mixture of channels.

    All phases of the kernel have the same sum, so that constant maps stay constant: a kernel drawn
    at random would start with a pattern of `factor` pixels, the checkerboard.

    Args:
        factor: strides of the layer. Kernels of twice that size interpolate linearly, kernels of
            that size repeat pixels.
        mixing: initializer of the 1x1 kernel that mixes the channels.

    Returns:
        A function of (key, shape, dtype).

    Source: Odena, Dumoulin and Olah, 2016 ("Deconvolution and checkerboard artifacts").
    """

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        height, width, inputs, outputs = shape
        mixture = mixing(key, (1, 1, inputs, outputs), dtype)
        weights = np.outer(_phased_triangle(height, factor), _phased_triangle(width, factor))
        return mixture * jnp.asarray(weights[:, :, None, None], dtype)

    return init


def _phased_triangle(size: int, factor: int) -> Float[np.ndarray, " {size}"]:
    """Returns a triangle of half-width `factor`, whose every `factor`-th weights sum to one."""
    distance = np.abs(np.arange(size) - (size - 1) / 2)
    weights = np.maximum(1 - distance / factor, 0)
    phases = np.arange(size) % factor
    sums = np.bincount(phases, weights, minlength=factor)
    return weights / np.where(sums > 0, sums, 1)[phases]


class Resize(linen.Module):
    """Interpolates maps linearly between pixel centers, to any size.

    Attributes:
        height, width: of the result.
    """

    height: int
    width: int

    @linen.compact
    def __call__(self, x: Images) -> Maps:
        """Returns the maps in the new size, in their dtype.

        Args:
            x: feature maps.
        """
        rows, columns = x.shape[1:3]
        if self.height % rows == 0 and self.width % columns == 0:
            return ops.upsample_bilinear(x, (self.height // rows, self.width // columns))
        # Half types are interpolated in float32, as by `ops.upsample_bilinear`.
        wide = x.astype(sum_dtype(x.dtype))
        shape = (x.shape[0], self.height, self.width, x.shape[3])
        return jax.image.resize(wide, shape, "bilinear", antialias=False).astype(x.dtype)
