"""Group normalization, flax's."""

import inspect
from typing import Any

import flax.linen as linen
import jax
from jaxtyping import Array, Float

from cnnjax.nn.bound_fields import bound_fields

# Flax's method itself: called as a method, it would count as a second call of the layer.
_normalize = inspect.unwrap(linen.GroupNorm.__call__)


class GroupNorm(linen.GroupNorm):
    """`flax.linen.GroupNorm`, which half precision and strict dtype promotion do not stop.

    Fields, parameters and arithmetic are flax's: each example's channels are cut into groups, and
    each group is normalized over its pixels and channels. There are no running statistics, so
    training and evaluation compute the same.

    Attributes:
        fit_channels: whether `num_groups` is an upper bound: the number of groups is then the
            greatest divisor of the channels that does not exceed it (64 channels: 32 groups;
            48 channels: 24; 16 channels: 16). If not, it must divide the channels, as in flax.

    Example:
        >>> import jax
        >>> from cnnjax import nn
        >>> x = jax.ShapeDtypeStruct((2, 8, 8, 48), "float32")
        >>> norm = nn.GroupNorm(num_groups=32, fit_channels=True)
        >>> y, variables = jax.eval_shape(norm.init_with_output, jax.random.key(0), x)
        >>> y.shape, sorted(variables["params"]), sorted(variables)
        ((2, 8, 8, 48), ['bias', 'scale'], ['params'])

    Source: Wu and He, 2018, equations 1 and 7.
    """

    fit_channels: bool = False

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch *pixels channels"], *, mask: Any = None
    ) -> Float[Array, "batch *pixels channels"]:
        """Normalizes each group of channels of each example, then scales and shifts each channel.

        Args:
            x: activations, channels last.
            mask: as in flax.

        Raises:
            ValueError: the number of groups doesn't divide the channels.
        """
        groups = self.num_groups
        if self.fit_channels and groups is not None:
            channels = x.shape[-1]
            groups = max(n for n in range(1, min(groups, channels) + 1) if channels % n == 0)
        # flax subtracts float32 means from activations of half precision.
        with jax.numpy_dtype_promotion("standard"), bound_fields(self, num_groups=groups):
            return _normalize(self, x, mask=mask)
