"""The parts of a stage by name: filters, normalizations, poolings and joins with the shortcut.

Each part is a function of the network, whose fields set its details, such as kernel and padding.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import nn, ops
from cnnjax.models.initializers import LECUN_NORMAL

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch rows columns features"]
Layer = Callable[[Array], Array]


class AsymmetricConv(linen.Module):
    """A 1xn convolution ("row"), then an nx1 convolution ("column"), with nothing between them.

    It has 2·n·C·F weights (for C = F) where a convolution has n·n·C·F.

    Attributes:
        features: channels of both.
        size: n.
        conv: makes a convolution.
        use_bias: whether the second has a bias.

    Source: Szegedy et al., 2016 ("Rethinking the Inception architecture"), section 3.2.
    """

    features: int
    size: int
    conv: Any
    use_bias: bool = True

    @linen.compact
    def __call__(self, x: Images) -> Maps:
        """Convolves each image.

        Args:
            x: feature maps.
        """
        # No rectifier follows the first, so that its gain is 1.
        row = self.conv(
            self.features, (1, self.size), use_bias=False, kernel_init=LECUN_NORMAL, name="row"
        )
        column = self.conv(self.features, (self.size, 1), use_bias=self.use_bias, name="column")
        return column(row(x))


def _padded(net: Any) -> dict[str, Any]:
    """Returns the fields of padding that every filter takes."""
    return {"padding": net.padding, "padding_mode": net.padding_mode}


def _made(net: Any) -> dict[str, Any]:
    """Returns the fields that `Net.conv` sets, for other layers."""
    return {
        "dtype": net.dtype,
        "backward": net.backward,
        "kernel_init": net.initializers.conv,
        **_padded(net),
    }


def _shared(net: Any, features: int, size: int, **named: Any) -> Layer:
    """Returns a convolution: every place has the same weights."""
    return net.conv(features, (size, size), **_padded(net), **named)


def _local(net: Any, features: int, size: int, **named: Any) -> Layer:
    """Returns local connections: every place has weights of its own."""
    return nn.LocallyConnected(features, (size, size), **_made(net), **named)


def _separable(net: Any, features: int, size: int, **named: Any) -> Layer:
    """Returns a depthwise convolution followed by a 1x1 convolution."""
    return nn.SeparableConv(features, (size, size), **_made(net), **named)


def _asymmetric(net: Any, features: int, size: int, **named: Any) -> Layer:
    """Returns a 1xn convolution followed by an nx1 convolution."""
    conv = functools.partial(net.conv, **_padded(net))
    return AsymmetricConv(features, size, conv, **named)


FILTERS: dict[str, Callable[..., Layer]] = {
    "shared": _shared,
    "local": _local,
    "separable": _separable,
    "asymmetric": _asymmetric,
}
"""The filters: functions of (net, features, size), and of `use_bias` and `name` by keyword."""


def _batch_norm(net: Any, train: bool) -> Callable[..., Layer]:
    return net.norm_layer(train)


def _group_norm(net: Any, train: bool) -> Callable[..., Layer]:
    # The networks are narrow: 32 groups would have one channel each.
    return functools.partial(
        nn.GroupNorm, num_groups=8, fit_channels=True, epsilon=1e-5, dtype=net.dtype
    )


def _response_norm(net: Any, train: bool) -> Callable[..., Layer]:
    return net.response_norm_layer


def _contrast_norm(net: Any, train: bool) -> Callable[..., Layer]:
    # The paper's 9x9 is for maps of 100 pixels and more.
    return functools.partial(nn.LocalContrastNorm, window=5, backward=net.backward)


NORMS: dict[str, Callable[[Any, bool], Callable[..., Layer]] | None] = {
    "batch": _batch_norm,
    "group": _group_norm,
    "response": _response_norm,
    "contrast": _contrast_norm,
    "none": None,
}
"""The normalizations: functions of (net, train) that return what makes the layer."""

WITH_BIAS = ("batch", "group")
"""The normalizations that add a bias to each channel, so that filters before them need none."""


def _max(net: Any, name: str) -> Layer:
    return net.max_pool(net.pool_size, net.pool_strides, name=name)


def _average(net: Any, name: str) -> Layer:
    return net.avg_pool(net.pool_size, net.pool_strides, name=name)


def _sum(net: Any, name: str) -> Layer:
    return nn.SumPool(net.pool_size, net.pool_strides, backward=net.backward, name=name)


def _stride(net: Any, name: str) -> Layer:
    """Returns a convolution in the pool's place, rectified as others are (All-CNN)."""
    size, strides = net.pool_size, net.pool_strides or net.pool_size

    def pool(x: Array) -> Array:
        conv = net.conv(x.shape[-1], (size, size), strides=strides, padding="VALID", name=name)
        return net.activate(conv(x))

    return pool


def _no_pool(net: Any, name: str) -> Layer:
    return lambda x: x


POOLINGS: dict[str, Callable[[Any, str], Layer]] = {
    "max": _max,
    "average": _average,
    "sum": _sum,
    "stride": _stride,
    "none": _no_pool,
}
"""The poolings: functions of (net, name)."""


def _fitted(net: Any, x: Array, features: int, name: str) -> Array:
    """Returns the input, through a 1x1 convolution where the channels change (He's option B)."""
    if x.shape[-1] == features:
        return x
    return net.conv(features, (1, 1), use_bias=False, name=f"{name}_projection")(x)


def _joined_sum(net: Any, x: Array, branch: Array, name: str) -> Array:
    """Returns x + F(x): He et al., 2015, equation 1."""
    return _fitted(net, x, branch.shape[-1], name) + branch


def _joined_scaled(net: Any, x: Array, branch: Array, name: str) -> Array:
    """Returns (x + F(x)) / 2: He et al., 2016 ("Identity mappings"), constant scaling."""
    return 0.5 * _joined_sum(net, x, branch, name)


def _joined_gated(net: Any, x: Array, branch: Array, name: str) -> Array:
    """Returns (1 - g) x + g F(x), g = σ(W x + b): highway networks; exclusive gating in He's paper.

    b starts at -1 (Srivastava et al., 2015, section 2.2), so that the input passes at first.
    """
    features = branch.shape[-1]
    gate = net.conv(
        features,
        (1, 1),
        kernel_init=LECUN_NORMAL,
        bias_init=linen.initializers.constant(-1.0),
        name=f"{name}_gate",
    )
    share = ops.sigmoid(gate(x))
    kept = _fitted(net, x, features, name)
    return kept + share * (branch - kept)


def _concatenated(net: Any, x: Array, branch: Array, name: str) -> Array:
    """Returns [x, F(x)]: Huang et al., 2017 (DenseNet), equation 2."""
    return jnp.concatenate([jnp.asarray(x, branch.dtype), branch], axis=-1)


JOINS: dict[str, Callable[..., Array]] = {
    "sum": _joined_sum,
    "scaled": _joined_scaled,
    "gated": _joined_gated,
    "concatenation": _concatenated,
}
"""What joins a stage's input and its branch: functions of (net, input, branch, name)."""
