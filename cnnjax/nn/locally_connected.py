"""Local connections as a Flax module: a convolution whose weights are not shared."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import ops
from cnnjax.nn.conv import as_pair, check_features, masked
from cnnjax.nn.layer_errors import naming_layer
from cnnjax.ops.sizes import checked_output_size, resolve_padding


class LocallyConnected(linen.ConvLocal):
    """A layer with a kernel of its own at every output pixel: `flax.linen.ConvLocal`'s fields.

    The parameter tree is flax's, and checkpoints load unchanged: a kernel of shape (rows, columns,
    channels * height * width, features), with the weights of one pixel ordered by channel, row and
    column, and a bias of shape (rows, columns, features). The weights fit one image size only.

    What differs from flax: gradients come from the rules of `cnnjax.ops.local_conv2d`; and
    `kernel_init` is called for each output pixel with the shape (height, width, channels,
    features), so that the fan-in is that of one unit. Flax's initial weights are smaller by the
    square root of the number of output pixels, since its initializer counts these as inputs.

    Attributes:
        features: number of output channels.
        kernel_size: kernel (height, width).
        strides, kernel_dilation: an int or a pair.
        padding: as in `Conv`, without "CIRCULAR" and "REFLECT": these are values of `padding_mode`.
        input_dilation: 1; other values are refused.
        feature_group_count: 1; other values are refused, as in flax.
        use_bias: whether a bias is added to each output value.
        mask: an array of the kernel's shape that multiplies the kernel, or None.
        dtype: dtype of the computation; parameters have `param_dtype`.
        backward: "ours" for the rules of `cnnjax.ops`, "native" for JAX's autodiff.
        padding_mode: as in `Conv`.

    Example:
        >>> import jax
        >>> from cnnjax import nn
        >>> x = jax.ShapeDtypeStruct((2, 8, 8, 3), "float32")
        >>> layer = nn.LocallyConnected(4, (3, 3), padding="VALID")
        >>> y, variables = jax.eval_shape(layer.init_with_output, jax.random.key(0), x)
        >>> y.shape, variables["params"]["kernel"].shape
        ((2, 6, 6, 4), (6, 6, 27, 4))

    Source: LeCun, 1989 ("Generalization and network design strategies"); Taigman et al., 2014.
    """

    backward: str = "ours"
    padding_mode: str | float = "zeros"

    @linen.compact
    def __call__(
        self, inputs: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch rows columns {self.features}"]:
        """Applies the kernel of each output pixel to the window under it.

        Args:
            inputs: images, with any number of batch dimensions.

        Raises:
            ValueError: a field is out of range, the kernel is larger than the padded input, or the
                weights were made for images of another size. The message names the layer.
        """
        with naming_layer(self):
            window = as_pair("kernel_size", self.kernel_size)
            strides = as_pair("strides", self.strides)
            dilation = as_pair("kernel_dilation", self.kernel_dilation)
            _check_fields(self, inputs)
            *_, height, width, channels = inputs.shape
            padding: Any = self.padding
            pads = resolve_padding(
                "LocallyConnected", padding, (height, width), window, strides, dilation
            )
            out = checked_output_size(
                "LocallyConnected", (height, width), window, strides, pads, dilation
            )
            shape = (*out, channels * window[0] * window[1], self.features)
            _check_size(self, shape, (height, width))
            kernel = self.param("kernel", _each_pixel, self.kernel_init, window, shape, self)
            if self.mask is not None:
                kernel = masked(kernel, self.mask)
            bias = None
            if self.use_bias:
                bias_shape = (*out, self.features)
                bias = self.param("bias", self.bias_init, bias_shape, self.param_dtype)
            promoted: Any = self.promote_dtype(inputs, kernel, bias, dtype=self.dtype)
            x, kernel, bias = promoted
            y = ops.local_conv2d(
                x.reshape(-1, height, width, channels),
                kernel,
                window,
                strides=strides,
                padding=pads,
                dilation=dilation,
                padding_mode=self.padding_mode,
                precision=self.precision,
                backward=self.backward,
            )
            y = y if bias is None else y + bias[None]
            return y.reshape(*inputs.shape[:-3], *y.shape[1:])


def _check_fields(layer: LocallyConnected, inputs: Array) -> None:
    """Raises a ValueError for fields of flax's layer that have no meaning here."""
    if inputs.ndim < 3:
        raise ValueError(
            f"the input must have shape [..., height, width, channels], got {inputs.shape}; add "
            "the missing dimensions"
        )
    check_features(layer.features)
    if layer.feature_group_count != 1:
        raise ValueError(
            f"feature_group_count={layer.feature_group_count}, but local connections have no "
            "groups; leave it at 1"
        )
    if layer.input_dilation not in (None, 1, (1, 1), [1, 1]):
        raise ValueError(
            f"input_dilation={layer.input_dilation} is not supported; use flax.linen.ConvLocal"
        )


def _check_size(
    layer: LocallyConnected, shape: tuple[int, ...], image_size: tuple[int, int]
) -> None:
    """Raises a ValueError where the given weights are for images of another size."""
    if not layer.has_variable("params", "kernel"):
        return
    given = jnp.shape(layer.get_variable("params", "kernel"))
    if given != shape:
        rows, columns = image_size
        raise ValueError(
            f"its kernel has the shape {given}, but images of {rows}x{columns} need {shape}: "
            "unshared weights fit the image size that they were made for"
        )


def _each_pixel(
    key: Array,
    init: Any,
    window: tuple[int, int],
    shape: tuple[int, ...],
    layer: LocallyConnected,
) -> Float[Array, "rows columns weights features"]:
    """Returns the kernels of all output pixels, each initialized as one convolution's kernel."""
    rows, columns, weights, features = shape
    channels = weights // (window[0] * window[1])
    own = (*window, channels, features)
    keys = jax.random.split(key, rows * columns)
    kernels = jax.vmap(lambda key: init(key, own, layer.param_dtype))(keys)
    # By channel, row and column: the channel first.
    return kernels.transpose(0, 3, 1, 2, 4).reshape(shape)
