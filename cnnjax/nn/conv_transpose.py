"""Transposed convolution as a Flax module, and the initializer for bilinear upsampling."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from cnnjax import ops
from cnnjax.nn.conv import as_pair, check_features, masked
from cnnjax.nn.layer_errors import naming_layer
from cnnjax.ops.checks import is_int, is_sequence
from cnnjax.ops.sizes import span


class ConvTranspose(linen.ConvTranspose):
    """A transposed convolution with `flax.linen.ConvTranspose`'s fields, tree and values.

    Checkpoints of flax's layer load unchanged. The gradients come from the rules of
    `cnnjax.ops.conv2d_transpose`, which adds a copy of its kernel k for each input pixel:
    y(s·r + a) += x(r) k(a). Flax's kernel is turned by 180 degrees against that one, and so are
    this layer's: k(a) = kernel(K - 1 - a), of shape (height, width, channels / groups, features).
    With `transpose_kernel=True` the kernel is that of the `Conv` whose transpose this layer is, of
    shape (height, width, features / groups, channels), and is not turned.

    A padding of numbers is flax's, too: zeros around the spread-out input. PyTorch's `padding=p`
    cuts p rows off the result, which is flax's K - 1 - p (K with its dilation). "SAME" gives the
    input's size times the stride; "CIRCULAR" is refused.

    Attributes:
        features: number of output channels.
        kernel_size: kernel (height, width).
        strides, kernel_dilation: an int or a pair.
        padding: "SAME", "VALID", an int, or one int or (low, high) an axis.
        use_bias: whether a bias is added to each output channel.
        mask: an array of the kernel's shape that multiplies the kernel, or None.
        dtype: dtype of the computation; parameters have `param_dtype`.
        transpose_kernel: whether the kernel is that of a `Conv` from `features` to the channels.
        output_padding: rows and columns added at the bottom and right, less than the strides: which
            of the sizes that a convolution with these strides maps to the input's size is made.
        feature_group_count: groups; must divide the input channels and `features`.
        backward: "ours" for the rules of `cnnjax.ops`, "native" for lax's autodiff.

    Example:
        >>> import jax
        >>> from cnnjax import nn
        >>> x = jax.ShapeDtypeStruct((2, 16, 16, 8), "float32")
        >>> layer = nn.ConvTranspose(4, (3, 3), strides=2)
        >>> y, variables = jax.eval_shape(layer.init_with_output, jax.random.key(0), x)
        >>> y.shape, variables["params"]["kernel"].shape
        ((2, 32, 32, 4), (3, 3, 8, 4))

    Source: Zeiler et al., 2010 (deconvolutional networks); Dumoulin and Visin, 2016, section 4.
    """

    # Flax takes an int as well, but does not declare it.
    strides: int | Sequence[int] | None = None
    output_padding: int | Sequence[int] = 0
    feature_group_count: int = 1
    backward: str = "ours"

    @linen.compact
    def __call__(
        self, inputs: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch rows columns {self.features}"]:
        """Enlarges each image.

        Args:
            inputs: images, with any number of batch dimensions.

        Raises:
            ValueError: a field is out of range, the groups do not divide the channels, or the
                padding leaves nothing. The message names the layer.
        """
        with naming_layer(self):
            window = as_pair("kernel_size", self.kernel_size)
            strides = as_pair("strides", self.strides)
            dilation = as_pair("kernel_dilation", self.kernel_dilation)
            shape = (*window, *_checked_channels(self, inputs))
            spans = [span(k, d) for k, d in zip(window, dilation, strict=True)]
            cuts = _cuts(self, (inputs.shape[-3], inputs.shape[-2]), strides, spans)
            kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
            if self.mask is not None:
                kernel = masked(kernel, self.mask)
            bias = None
            if self.use_bias:
                bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
            promoted: Any = self.promote_dtype(inputs, kernel, bias, dtype=self.dtype)
            x, kernel, bias = promoted
            x = x.reshape(-1, *inputs.shape[-3:])
            y = _transposed(self, x, kernel, strides, dilation, cuts)
            if bias is not None:
                y = ops.add_bias(y, bias, backward=self.backward)
            return y.reshape(*inputs.shape[:-3], *y.shape[1:])


def bilinear_init() -> Callable[..., jax.Array]:
    """Returns an initializer with which a transposed convolution interpolates bilinearly.

    Each output channel has the triangle filter on one input channel: with one group, output i takes
    input i; with as many groups as channels, its own. For stride s, a kernel of 2s - s % 2 makes
    the layer `ops.upsample_bilinear`, away from the edges, where zeros lie beyond the image.

    Returns:
        A function of (key, shape, dtype) for kernels of `ConvTranspose`, which raises a ValueError
        where `features` is no multiple of the channels of a group.

    Example:
        >>> import jax
        >>> from cnnjax import nn
        >>> nn.bilinear_init()(jax.random.key(0), (4, 4, 1, 1))[1, :, 0, 0] * 16
        Array([3., 9., 9., 3.], dtype=float32)

    Source: Long, Shelhamer and Darrell, 2015, section 3.3.
    """

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        del key
        height, width, inputs, outputs = shape
        if outputs % inputs:
            raise ValueError(
                f"bilinear_init: {outputs} output channels are no multiple of the {inputs} input "
                "channels of a group, so that none belongs to each; set features to the number of "
                "channels"
            )
        kernel = np.zeros(shape)
        own = np.arange(outputs)
        kernel[:, :, own % inputs, own] = np.outer(_triangle(height), _triangle(width))[..., None]
        return jnp.asarray(kernel, dtype)

    return init


def _triangle(size: int) -> Float[np.ndarray, " {size}"]:
    """Returns the weights of linear interpolation by a factor of (size + 1) // 2."""
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 else factor - 0.5
    return 1 - np.abs(np.arange(size) - center) / factor


def _checked_channels(layer: ConvTranspose, inputs: Array) -> tuple[int, int]:
    """Returns the last two axes of the kernel, when channels, features and groups fit."""
    if inputs.ndim < 3:
        raise ValueError(
            f"the input must have shape [..., height, width, channels], got {inputs.shape}; add "
            "the missing dimensions"
        )
    if layer.preferred_element_type is not None:
        raise ValueError(
            "preferred_element_type is not supported: half types are summed in float32 and rounded "
            "once; leave it at None"
        )
    check_features(layer.features)
    channels, groups = inputs.shape[-1], layer.feature_group_count
    if groups < 1 or channels % groups or layer.features % groups:
        raise ValueError(
            f"feature_group_count={groups} must divide the {channels} input channels and "
            f"features={layer.features}"
        )
    if layer.transpose_kernel:
        return layer.features // groups, channels
    return channels // groups, layer.features


def _cuts(
    layer: ConvTranspose,
    size: tuple[int, int],
    strides: tuple[int, int],
    spans: list[int],
) -> list[tuple[int, int]]:
    """Returns how many rows and columns are cut off the sum of all copies; negative: added.

    Copies of K rows, a stride s apart, cover (D - 1) s + K rows.
    """
    if isinstance(layer.padding, str):
        if layer.padding not in ("SAME", "VALID"):
            raise ValueError(_paddings(layer.padding))
        # lax's sizes: "SAME" gives D s rows, and so does "VALID" where the copies do not overlap.
        same = layer.padding == "SAME"
        totals = [k - s if same else min(k - s, 0) for k, s in zip(spans, strides, strict=True)]
        cuts = [(max(n, 0) // 2, n - max(n, 0) // 2) for n in totals]
    else:
        pads = _pairs(layer.padding)
        cuts = [(k - 1 - low, k - 1 - high) for k, (low, high) in zip(spans, pads, strict=True)]
    extra = _output_padding(layer.output_padding, strides)
    cuts = [(low, high - e) for (low, high), e in zip(cuts, extra, strict=True)]
    out = [
        (n - 1) * s + k - low - high
        for n, s, k, (low, high) in zip(size, strides, spans, cuts, strict=True)
    ]
    if min(out) < 1:
        raise ValueError(
            f"padding {layer.padding!r} leaves a result of {out[0]}x{out[1]} for an input of "
            f"{size[0]}x{size[1]}; it is added to the input, so that larger numbers give a larger "
            "result"
        )
    return cuts


def _pairs(padding: Any) -> list[tuple[int, int]]:
    """Returns a padding of numbers as a pair (low, high) for each axis."""
    axes = (padding, padding) if is_int(padding) else padding
    pairs = [(p, p) if is_int(p) else p for p in axes] if is_sequence(axes) else []
    if len(pairs) != 2 or not all(is_sequence(p) and len(p) == 2 for p in pairs):
        raise ValueError(_paddings(padding))
    if not all(is_int(n) for p in pairs for n in p):
        raise ValueError(_paddings(padding))
    return [(p[0], p[1]) for p in pairs]


def _paddings(given: Any) -> str:
    return (
        "padding must be 'SAME', 'VALID', an int, or one int or (low, high) for each axis, got "
        f"{given!r}"
    )


def _output_padding(given: Any, strides: tuple[int, int]) -> tuple[int, int]:
    """Returns the rows and columns that are added."""
    extra = (given, given) if is_int(given) else given
    if not is_sequence(extra) or len(extra) != 2 or not all(map(is_int, extra)):
        raise ValueError(f"output_padding must be an int or a pair of ints, got {given!r}")
    if not all(0 <= e < s for e, s in zip(extra, strides, strict=True)):
        raise ValueError(
            f"output_padding must be from 0 to less than the strides {strides}, got {given!r}; a "
            "larger result is not what a convolution with these strides maps to the input's size"
        )
    return (extra[0], extra[1])


def _transposed(
    layer: ConvTranspose,
    x: Array,
    kernel: Array,
    strides: tuple[int, int],
    dilation: tuple[int, int],
    cuts: list[tuple[int, int]],
) -> Array:
    """Returns the transposed convolution of images [batch, height, width, channels], no bias."""
    groups = layer.feature_group_count
    if layer.transpose_kernel:
        # The op takes channels before filters, as every kernel has them.
        height, width, filters, channels = kernel.shape
        kernel = kernel.reshape(height, width, filters, groups, channels // groups)
        kernel = kernel.transpose(0, 1, 4, 3, 2).reshape(height, width, channels // groups, -1)
    else:
        kernel = lax.rev(kernel, (0, 1))
    # Rows after the last copy are zeros; the op adds less than a stride of them itself.
    added = [min(max(-high, 0), s - 1) for (_, high), s in zip(cuts, strides, strict=True)]
    y = ops.conv2d_transpose(
        x,
        kernel,
        strides=strides,
        padding=[(max(low, 0), max(high, 0)) for low, high in cuts],
        output_padding=added,
        dilation=dilation,
        groups=groups,
        precision=layer.precision,
        backward=layer.backward,
    )
    rows, columns = (
        (max(-low, 0), max(-high, 0) - own) for (low, high), own in zip(cuts, added, strict=True)
    )
    if any((*rows, *columns)):
        y = ops.pad_images(y, (rows, columns))
    return y
