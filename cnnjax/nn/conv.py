"""Convolution as a Flax module, on the backward rules of `cnnjax.ops`."""

from collections.abc import Sequence
from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from cnnjax import ops
from cnnjax.nn.layer_errors import naming_layer
from cnnjax.ops.arguments.choices import check_mode
from cnnjax.ops.checks import is_int
from cnnjax.ops.padding import is_zeros
from cnnjax.ops.sizes import resolve_padding

# jnp.pad's name of each padding that wraps or mirrors the image.
_PAD_MODES = {"CIRCULAR": "wrap", "REFLECT": "reflect"}


class Conv(linen.Conv):
    """A 2-D convolution (cross-correlation) with `flax.linen.Conv`'s fields and parameter tree.

    Checkpoints of `flax.linen.Conv` load unchanged. What differs: `kernel_size` must be a pair,
    because flax reads an int as a 1-D convolution; and the gradients come from the rules of
    `cnnjax.ops.conv2d`. `padding="CIRCULAR"` and `"REFLECT"` pad the image first and then use the
    same rules; `input_dilation` other than 1 goes to `lax.conv_general_dilated`. `padding` gives
    how many pixels are added, and `padding_mode` which ones.

    Attributes:
        features: number of output channels.
        kernel_size: kernel (height, width).
        strides, kernel_dilation, input_dilation: an int or a pair.
        padding: "SAME", "VALID", "CIRCULAR", "REFLECT", an int, or one int or (low, high) an axis.
        feature_group_count: groups; must divide the input channels and `features`.
        use_bias: whether a bias is added to each output channel.
        mask: an array of the kernel's shape that multiplies the kernel, or None.
        dtype: dtype of the computation; parameters have `param_dtype`.
        backward: "ours" for the rules of `cnnjax.ops`, "native" for lax's autodiff.
        padding_mode: the pixels that `padding` adds: "zeros", "replicate" (the edge pixel),
            "reflect", "circular" or a constant, as in `ops.pad_images`.

    Example:
        >>> import jax
        >>> from cnnjax import nn
        >>> x = jax.ShapeDtypeStruct((2, 32, 32, 3), "float32")
        >>> conv = nn.Conv(16, (3, 3), strides=2)
        >>> y, variables = jax.eval_shape(conv.init_with_output, jax.random.key(0), x)
        >>> y.shape, variables["params"]["kernel"].shape
        ((2, 16, 16, 16), (3, 3, 3, 16))

    Source: LeCun et al., 1989; the parameter tree is that of `flax.linen.Conv`.
    """

    backward: str = "ours"
    padding_mode: str | float = "zeros"

    @linen.compact
    def __call__(
        self, inputs: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch rows columns features"]:
        """Convolves each image.

        Args:
            inputs: images, with any number of batch dimensions.

        Returns:
            Feature maps of the same batch dimensions, in `dtype`.

        Raises:
            ValueError: `kernel_size` is not a pair, the input has fewer than 3 dimensions, the
                groups do not divide the channels, the mask has another shape than the kernel, the
                kernel is larger than the padded input, or `padding_mode` is unknown or can't be
                combined with the other fields. The message names the layer.
        """
        with naming_layer(self):
            height, width = as_pair("kernel_size", self.kernel_size)
            strides = as_pair("strides", self.strides)
            dilation = as_pair("kernel_dilation", self.kernel_dilation)
            input_dilation = as_pair("input_dilation", self.input_dilation)
            _check_padding_mode(self, input_dilation)
            channels = self._checked_channels(inputs)
            kernel_shape = (height, width, channels // self.feature_group_count, self.features)
            kernel = self.param("kernel", self.kernel_init, kernel_shape, self.param_dtype)
            if self.mask is not None:
                kernel = masked(kernel, self.mask)
            bias = None
            if self.use_bias:
                bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
            x, kernel, bias = promote_dtype(inputs, kernel, bias, dtype=self.dtype)
            # The rules take a single batch dimension.
            x = x.reshape(-1, *inputs.shape[-3:])
            y = _convolve(self, x, kernel, strides, dilation, input_dilation)
            if bias is not None:
                y = ops.add_bias(y, bias, backward=self.backward)
            return y.reshape(*inputs.shape[:-3], *y.shape[1:])

    def _checked_channels(self, inputs: Array) -> int:
        """Returns the input channels, when they and the groups fit together."""
        if inputs.ndim < 3:
            raise ValueError(
                "the input must have shape [..., height, width, channels], got "
                f"{inputs.shape}; add the missing dimensions"
            )
        check_features(self.features)
        channels, groups = inputs.shape[-1], self.feature_group_count
        if groups < 1 or channels % groups or self.features % groups:
            raise ValueError(
                f"feature_group_count={groups} must divide the {channels} input channels and "
                f"features={self.features}"
            )
        return channels


# The steps of a call are functions, not methods: Linen puts a named scope around a method's
# operations, and the compiled program would get other names.
def masked(kernel: Array, mask: Any) -> Array:
    """Returns the kernel multiplied by a mask of its shape.

    Args:
        kernel: the kernel.
        mask: an array of its shape.

    Raises:
        ValueError: the mask has another shape.
    """
    if mask.shape != kernel.shape:
        raise ValueError(f"mask has shape {mask.shape}, but the kernel has {kernel.shape}")
    return kernel * jnp.asarray(mask, kernel.dtype)


def _check_padding_mode(layer: Conv, input_dilation: tuple[int, int]) -> None:
    """Raises a ValueError for a padding mode that the other fields leave no place for."""
    mode = layer.padding_mode
    check_mode("Conv", "padding_mode", mode)
    if is_zeros(mode):
        return
    if isinstance(layer.padding, str) and layer.padding in _PAD_MODES:
        raise ValueError(
            f"padding={layer.padding!r} and padding_mode={mode!r} both name the pixels to add; "
            "set padding='SAME' with padding_mode, or leave padding_mode at 'zeros'"
        )
    if input_dilation != (1, 1):
        raise ValueError(
            f"padding_mode={mode!r} is not defined between the pixels that input_dilation="
            f"{layer.input_dilation!r} sets apart; leave one of the two at its default"
        )


def _convolve(
    layer: Conv,
    x: Array,
    kernel: Array,
    strides: tuple[int, int],
    dilation: tuple[int, int],
    input_dilation: tuple[int, int],
) -> Array:
    """Returns the convolution of images [batch, height, width, channels], without the bias."""
    padding: Any = layer.padding
    if isinstance(padding, str) and padding in _PAD_MODES:
        # As in flax, an even window has its extra pixel at the end.
        spans = [(k - 1) * d + 1 for k, d in zip(kernel.shape[:2], dilation, strict=True)]
        pads = [(0, 0), *(((k - 1) // 2, k // 2) for k in spans), (0, 0)]
        x = jnp.pad(x, pads, mode=_PAD_MODES[padding])
        padding = "VALID"
    mode = layer.padding_mode
    # The backward rules do not support dilated inputs.
    if input_dilation == (1, 1) and layer.conv_general_dilated is None:
        return ops.conv2d(
            x,
            kernel,
            strides=strides,
            padding=padding,
            dilation=dilation,
            groups=layer.feature_group_count,
            padding_mode=mode,
            precision=layer.precision,
            backward=layer.backward,
        )
    if not is_zeros(mode):
        pads = resolve_padding("Conv", padding, x.shape[1:3], kernel.shape[:2], strides, dilation)
        x, padding = ops.pad_images(x, pads, mode), "VALID"
    convolve = layer.conv_general_dilated or ops.lax_conv_general_dilated
    return convolve(
        x,
        kernel,
        strides,
        _lax_padding(padding),
        lhs_dilation=input_dilation,
        rhs_dilation=dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=layer.feature_group_count,
        precision=layer.precision,
    )


def as_pair(name: str, value: int | Sequence[int] | None) -> tuple[int, int]:
    """Returns `value` as (rows, columns); only the kernel size may not be an int.

    Args:
        name: of the field, for the message.
        value: an int, a pair, or None for 1.

    Raises:
        ValueError: it is no pair, or has something other than ints of at least 1.
    """
    if value is None or (isinstance(value, int) and name != "kernel_size"):
        value = (1, 1) if value is None else (value, value)
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ValueError(
            f"{name} must be a pair (rows, columns) in a 2-D convolution, got {value!r}; "
            f"write {name}=({value!r}, {value!r})"
            if isinstance(value, int)
            else f"{name} must be a pair (rows, columns) in a 2-D convolution, got {value!r}"
        )
    if not all(is_int(v) and v >= 1 for v in value):
        raise ValueError(f"{name} must be ints of at least 1, got {value!r}")
    return (value[0], value[1])


def check_features(features: Any) -> None:
    """Raises a ValueError unless a layer's number of outputs is an int of at least 1.

    Args:
        features: the field.
    """
    if not is_int(features) or features < 1:
        raise ValueError(f"features must be an int of at least 1, got {features!r}")


def _lax_padding(padding: Any) -> str | list[tuple[int, int]]:
    """Returns `padding` in the form that `lax.conv_general_dilated` takes."""
    if isinstance(padding, str):
        return padding
    axes = (padding, padding) if isinstance(padding, int) else padding
    return [(p, p) if isinstance(p, int) else tuple(p) for p in axes]
