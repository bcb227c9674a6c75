"""Convolutions that keep channels apart: depthwise, and depthwise followed by 1x1."""

from collections.abc import Sequence
from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from cnnjax import ops
from cnnjax.nn.conv import Conv, as_pair
from cnnjax.nn.layer_errors import naming_layer


class DepthwiseConv(linen.Module):
    """A convolution of each channel by itself, with `multiplier` kernels for each.

    The parameter tree is that of `flax.linen.Conv` with `feature_group_count` = channels and
    `features` = channels * multiplier: the kernel is (height, width, 1, channels * multiplier), and
    outputs i * multiplier, ... belong to input channel i. The number of channels need not be known
    when the layer is made.

    Attributes:
        kernel_size: kernel (height, width).
        multiplier: outputs for each input channel.
        strides: an int or a pair.
        padding: as in `Conv`, without "CIRCULAR" and "REFLECT": these are values of `padding_mode`.
        kernel_dilation: an int or a pair.
        use_bias: whether a bias is added to each output channel.
        dtype: dtype of the computation; parameters have `param_dtype`.
        param_dtype: dtype of the parameters.
        precision: lax's precision of the products.
        kernel_init: initializer of the kernel.
        bias_init: initializer of the biases.
        padding_mode: as in `Conv`.
        backward: "ours" for the rules of `cnnjax.ops`, "native" for lax's autodiff.

    Example:
        >>> import jax
        >>> from cnnjax import nn
        >>> x = jax.ShapeDtypeStruct((2, 32, 32, 16), "float32")
        >>> conv = nn.DepthwiseConv((3, 3), strides=2)
        >>> y, variables = jax.eval_shape(conv.init_with_output, jax.random.key(0), x)
        >>> y.shape, variables["params"]["kernel"].shape
        ((2, 16, 16, 16), (3, 3, 1, 16))

    Source: Sifre, 2014, section 6.2; Howard et al., 2017 (MobileNets), section 3.1.
    """

    kernel_size: Sequence[int]
    multiplier: int = 1
    strides: int | Sequence[int] = 1
    padding: Any = "SAME"
    kernel_dilation: int | Sequence[int] = 1
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    precision: Any = None
    kernel_init: Any = linen.initializers.lecun_normal()
    bias_init: Any = linen.initializers.zeros_init()
    padding_mode: str | float = "zeros"
    backward: str = "ours"

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch rows columns features"]:
        """Convolves each channel of each image.

        Args:
            x: feature maps.

        Raises:
            ValueError: a field is out of range, or the kernel is larger than the padded input. The
                message names the layer.
        """
        with naming_layer(self):
            height, width = as_pair("kernel_size", self.kernel_size)
            if not isinstance(self.multiplier, int) or self.multiplier < 1:
                raise ValueError(f"multiplier must be an int of at least 1, got {self.multiplier}")
            channels = x.shape[-1]
            features = channels * self.multiplier
            shape = (height, width, 1, features)
            kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
            bias = None
            if self.use_bias:
                bias = self.param("bias", self.bias_init, (features,), self.param_dtype)
            x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
            y = ops.conv2d(
                x,
                kernel,
                strides=self.strides,
                padding=self.padding,
                dilation=self.kernel_dilation,
                groups=channels,
                padding_mode=self.padding_mode,
                precision=self.precision,
                backward=self.backward,
            )
            return y if bias is None else ops.add_bias(y, bias, backward=self.backward)


class SeparableConv(linen.Module):
    """A depthwise convolution ("depthwise"), then a 1x1 convolution ("pointwise") with a bias.

    It has K·K·C + C·F weights where a convolution has K·K·C·F. Nothing lies between the two, so
    that the depthwise part needs no bias. (`ops.separable_conv2d` is something else: one kernel as
    a column and a row.)

    Attributes:
        features: number of output channels.
        kernel_size: kernel (height, width) of the depthwise part.
        multiplier: channels between the parts, for each input channel.
        strides: of the depthwise part.
        padding: of the depthwise part, as in `DepthwiseConv`.
        kernel_dilation: of the depthwise part.
        use_bias: whether a bias is added to each output channel.
        dtype: dtype of the computation; parameters have `param_dtype`.
        param_dtype: dtype of the parameters.
        precision: lax's precision of the products.
        kernel_init: initializer of the pointwise kernel.
        bias_init: initializer of the biases.
        depthwise_init: initializer of the depthwise kernel; since no rectifier follows it, its gain
            is 1.
        padding_mode: as in `Conv`.
        backward: "ours" for the rules of `cnnjax.ops`, "native" for lax's autodiff.

    Example:
        >>> import jax
        >>> from cnnjax import nn
        >>> x = jax.ShapeDtypeStruct((2, 32, 32, 16), "float32")
        >>> conv = nn.SeparableConv(64, (3, 3))
        >>> y, variables = jax.eval_shape(conv.init_with_output, jax.random.key(0), x)
        >>> y.shape, {name: part["kernel"].shape for name, part in variables["params"].items()}
        ((2, 32, 32, 64), {'depthwise': (3, 3, 1, 16), 'pointwise': (1, 1, 16, 64)})

    Source: Chollet, 2017 (Xception), section 1; Howard et al., 2017 (MobileNets), section 3.1.
    """

    features: int
    kernel_size: Sequence[int]
    multiplier: int = 1
    strides: int | Sequence[int] = 1
    padding: Any = "SAME"
    kernel_dilation: int | Sequence[int] = 1
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    precision: Any = None
    kernel_init: Any = linen.initializers.lecun_normal()
    bias_init: Any = linen.initializers.zeros_init()
    depthwise_init: Any = linen.initializers.lecun_normal()
    padding_mode: str | float = "zeros"
    backward: str = "ours"

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch rows columns {self.features}"]:
        """Convolves each image.

        Args:
            x: feature maps.

        Raises:
            ValueError: as `DepthwiseConv`; the message names the part.
        """
        shared: dict[str, Any] = dict(
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            precision=self.precision,
            backward=self.backward,
        )
        x = DepthwiseConv(
            self.kernel_size,
            self.multiplier,
            self.strides,
            self.padding,
            self.kernel_dilation,
            use_bias=False,
            kernel_init=self.depthwise_init,
            padding_mode=self.padding_mode,
            name="depthwise",
            **shared,
        )(x)
        return Conv(
            self.features,
            (1, 1),
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            bias_init=self.bias_init,
            name="pointwise",
            **shared,
        )(x)
