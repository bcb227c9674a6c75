"""Pooling as Flax modules, so that pools have names in error messages and tables."""

from collections.abc import Sequence
from typing import Any

import flax.linen as linen
import flax.struct
from jaxtyping import Array, Float

from cnnjax import ops
from cnnjax.nn.layer_errors import naming_layer


class MaxPool(linen.Module):
    """Takes the maximum over windows; only the first maximum gets a gradient.

    Attributes:
        window: window (height, width), or an int for both.
        strides: an int or a pair; None means the window's size.
        padding: "SAME", "VALID", an int, or ((top, bottom), (left, right)); pads with -inf.
        dilation: step between the taps of a window.
        ceil_mode: whether a last, incomplete window counts (PyTorch's rule).
        backward: "ours" for the rule of `cnnjax.ops`, "native" for lax's autodiff.

    Example:
        >>> import jax
        >>> from cnnjax import nn
        >>> x = jax.ShapeDtypeStruct((2, 9, 9, 16), "float32")
        >>> jax.eval_shape(lambda x: nn.MaxPool(3, 2).apply({}, x), x).shape
        (2, 4, 4, 16)

    Source: Riesenhuber and Poggio, 1999; Scherer et al., 2010.
    """

    window: int | Sequence[int]
    strides: int | Sequence[int] | None = None
    padding: str | int | Sequence = "VALID"
    dilation: int | Sequence[int] = 1
    ceil_mode: bool = False
    backward: str = "ours"

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch rows columns channels"]:
        """Pools each channel of each image, keeping the dtype.

        Args:
            x: feature maps.

        Raises:
            ValueError: the window does not fit into the padded input. The message names the layer.
        """
        with naming_layer(self):
            return ops.max_pool(
                x,
                self.window,
                strides=self.strides,
                padding=self.padding,
                dilation=self.dilation,
                ceil_mode=self.ceil_mode,
                backward=self.backward,
            )


@flax.struct.dataclass
class Switches:
    """Where the maxima of a pooling were; a pytree with static sizes.

    Attributes:
        places: `row * width + column` of each maximum, [batch, rows, columns, channels], int32; -1
            where it was padding.
        size: height and width of the images that were pooled.
    """

    # A transformation rebuilds the pytree with leaves of its own, of any shape and kind.
    places: Any
    size: tuple[int, int] = flax.struct.field(pytree_node=False)


class MaxPoolWithSwitches(linen.Module):
    """A `MaxPool` that also returns where the maxima were, for `MaxUnpool`.

    Attributes:
        window, strides, padding, dilation, ceil_mode, backward: as in `MaxPool`.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import nn
        >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
        >>> y, switches = nn.MaxPoolWithSwitches(2).apply({}, x)
        >>> switches.places[0, :, :, 0], switches.size
        (Array([[ 5,  7],
               [13, 15]], dtype=int32), (4, 4))

    Source: Zeiler and Fergus, 2014, section 2.1.
    """

    window: int | Sequence[int]
    strides: int | Sequence[int] | None = None
    padding: str | int | Sequence = "VALID"
    dilation: int | Sequence[int] = 1
    ceil_mode: bool = False
    backward: str = "ours"

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> tuple[Float[Array, "batch rows columns channels"], Switches]:
        """Pools each channel of each image, keeping the dtype.

        Args:
            x: feature maps.

        Returns:
            The maxima, and their switches.

        Raises:
            ValueError: the window does not fit into the padded input. The message names the layer.
        """
        with naming_layer(self):
            y, places = ops.max_pool_with_argmax(
                x,
                self.window,
                strides=self.strides,
                padding=self.padding,
                dilation=self.dilation,
                ceil_mode=self.ceil_mode,
                backward=self.backward,
            )
            return y, Switches(places, (x.shape[1], x.shape[2]))


class AvgPool(linen.Module):
    """Averages windows.

    Attributes:
        window: window (height, width), or an int for both.
        strides: an int or a pair; None means the window's size.
        padding: "SAME", "VALID", an int, or ((top, bottom), (left, right)); pads with 0.
        ceil_mode: whether a last, incomplete window counts (PyTorch's rule).
        count_include_pad: whether padding counts in the divisor.
        backward: "ours" for the rule of `cnnjax.ops`, "native" for lax's autodiff.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import nn
        >>> x = jnp.arange(4.0).reshape(1, 2, 2, 1)
        >>> nn.AvgPool(2).apply({}, x).item()
        1.5

    Source: LeCun et al., 1989, where it is called subsampling.
    """

    window: int | Sequence[int]
    strides: int | Sequence[int] | None = None
    padding: str | int | Sequence = "VALID"
    ceil_mode: bool = False
    count_include_pad: bool = True
    backward: str = "ours"

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch rows columns channels"]:
        """Pools each channel of each image, keeping the dtype.

        Args:
            x: feature maps.

        Raises:
            ValueError: the window does not fit into the padded input. The message names the layer.
        """
        with naming_layer(self):
            return ops.avg_pool(
                x,
                self.window,
                strides=self.strides,
                padding=self.padding,
                ceil_mode=self.ceil_mode,
                count_include_pad=self.count_include_pad,
                backward=self.backward,
            )


class SumPool(linen.Module):
    """Adds up windows.

    Attributes:
        window: window (height, width), or an int for both.
        strides: an int or a pair; None means the window's size.
        padding: "SAME", "VALID", an int, or ((top, bottom), (left, right)); pads with 0.
        dilation: step between the elements of a window.
        ceil_mode: whether a last, incomplete window counts (PyTorch's rule).
        backward: "ours" for the rule of `cnnjax.ops`, "native" for lax's autodiff.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import nn
        >>> x = jnp.arange(4.0).reshape(1, 2, 2, 1)
        >>> nn.SumPool(2).apply({}, x).item()
        6.0

    Source: LeCun et al., 1998, section II.B, where coefficient and bias follow.
    """

    window: int | Sequence[int]
    strides: int | Sequence[int] | None = None
    padding: str | int | Sequence = "VALID"
    dilation: int | Sequence[int] = 1
    ceil_mode: bool = False
    backward: str = "ours"

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch rows columns channels"]:
        """Pools each channel of each image, keeping the dtype.

        Args:
            x: feature maps.

        Raises:
            ValueError: the window does not fit into the padded input. The message names the layer.
        """
        with naming_layer(self):
            return ops.sum_pool(
                x,
                self.window,
                strides=self.strides,
                padding=self.padding,
                dilation=self.dilation,
                ceil_mode=self.ceil_mode,
                backward=self.backward,
            )
