"""Enlarging as Flax modules: by an integer factor, and back to where the maxima were."""

from collections.abc import Sequence
from typing import Literal

import flax.linen as linen
from jaxtyping import Array, Float

from cnnjax import ops
from cnnjax.nn.layer_errors import naming_layer
from cnnjax.nn.pool import Switches

_METHODS = {"nearest": ops.upsample_nearest, "bilinear": ops.upsample_bilinear}


class Upsample(linen.Module):
    """Enlarges images by an integer factor.

    Attributes:
        factor: how many times larger, an int or (rows, columns).
        method: "nearest" repeats pixels; "bilinear" interpolates between pixel centers, and corners
            are not aligned.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import nn
        >>> x = jnp.array([0.0, 4.0]).reshape(1, 1, 2, 1)
        >>> nn.Upsample((1, 2), "bilinear").apply({}, x)[0, 0, :, 0]
        Array([0., 1., 3., 4.], dtype=float32)
    """

    factor: int | Sequence[int]
    method: Literal["nearest", "bilinear"] = "nearest"

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch rows columns channels"]:
        """Enlarges each channel of each image, keeping the dtype.

        Args:
            x: feature maps.

        Raises:
            ValueError: an unknown method, or a factor that is no positive int or pair of these. The
                message names the layer.
        """
        with naming_layer(self):
            if self.method not in _METHODS:
                raise ValueError(
                    f"method must be one of {', '.join(map(repr, _METHODS))}, got {self.method!r}"
                )
            return _METHODS[self.method](x, self.factor)


class MaxUnpool(linen.Module):
    """Puts values back where the maxima of a `MaxPoolWithSwitches` were; all else is zero.

    Where windows overlapped and two values have one place, one of them is kept.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import nn
        >>> x = jnp.array([[1.0, 7.0, 2.0], [3.0, 5.0, 4.0]]).reshape(1, 2, 3, 1)
        >>> y, switches = nn.MaxPoolWithSwitches(2).apply({}, x)
        >>> nn.MaxUnpool().apply({}, 10 * y, switches)[0, :, :, 0]
        Array([[ 0., 70.,  0.],
               [ 0.,  0.,  0.]], dtype=float32)

    Source: Zeiler and Fergus, 2014, section 2.1; Badrinarayanan et al., 2017 (SegNet), section 3.
    """

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch rows columns channels"], switches: Switches
    ) -> Float[Array, "batch height width channels"]:
        """Returns images of the size that was pooled.

        Args:
            x: one value for each window; any values, not only the maxima.
            switches: what the pooling returned.

        Raises:
            ValueError: `x` has another shape than the pooled images, or `switches` are something
                else. The message names the layer.
        """
        with naming_layer(self):
            if not isinstance(switches, Switches):
                raise ValueError(
                    f"switches are a {type(switches).__name__}; give the second result of a "
                    "MaxPoolWithSwitches"
                )
            if x.shape != switches.places.shape:
                raise ValueError(
                    f"x has the shape {x.shape}, but the switches are of a pooling with a result "
                    f"of {switches.places.shape}; give the switches of the pool that made x's size"
                )
            return ops.max_unpool(x, switches.places, (x.shape[0], *switches.size, x.shape[3]))
