"""A convolution of low rank: a column of taps, then a row of taps."""

from collections.abc import Sequence
from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax.nn.conv import Conv, as_pair
from cnnjax.nn.layer_errors import naming_layer
from cnnjax.ops.checks import is_int

RANK = "rank"
"""The change of a layer that replaces a convolution by one of low rank; see `change_layers`."""


class LowRankConv(linen.Module):
    """A height x 1 convolution ("column") to `rank` channels, then a 1 x width convolution ("row").

    It has `rank` * (height * channels + width * features) weights where a convolution has height *
    width * channels * features. Nothing lies between the two; the second has the bias. Every sum of
    `rank` products of a column and a row, over all channels, is such a layer.

    Attributes:
        features: number of output channels.
        kernel_size: kernel (height, width).
        rank: channels between the two.
        strides: an int or a pair: rows for the first, columns for the second.
        padding: as in `Conv`.
        kernel_dilation: an int or a pair.
        use_bias: whether a bias is added to each output channel.
        dtype: dtype of the computation; parameters have `param_dtype`.
        param_dtype: dtype of the parameters.
        precision: lax's precision of the products.
        kernel_init: initializer of both kernels.
        bias_init: initializer of the biases.
        padding_mode: as in `Conv`, without constants other than 0: the second convolution would pad
            with them what the first one computed.
        backward: "ours" for the rules of `cnnjax.ops`, "native" for lax's autodiff.

    Example:
        >>> import jax
        >>> from cnnjax import nn
        >>> x = jax.ShapeDtypeStruct((2, 32, 32, 16), "float32")
        >>> conv = nn.LowRankConv(64, (3, 3), rank=8)
        >>> y, variables = jax.eval_shape(conv.init_with_output, jax.random.key(0), x)
        >>> y.shape, {name: part["kernel"].shape for name, part in variables["params"].items()}
        ((2, 32, 32, 64), {'column': (3, 1, 16, 8), 'row': (1, 3, 8, 64)})

    Source: Jaderberg et al., 2014 ("Speeding up convolutional neural networks with low rank
    expansions"), section 2, scheme 2.
    """

    features: int
    kernel_size: Sequence[int]
    rank: int
    strides: Any = 1
    padding: Any = "SAME"
    kernel_dilation: Any = 1
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
        self, x: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch rows columns {self.features}"]:
        """Convolves each image.

        Args:
            x: images.

        Raises:
            ValueError: a field is out of range, or as `Conv`; the message names the layer.
        """
        with naming_layer(self):
            height, width = as_pair("kernel_size", self.kernel_size)
            down, across = as_pair("strides", self.strides)
            row_gap, column_gap = as_pair("kernel_dilation", self.kernel_dilation)
            rows, columns = split_padding(self.padding)
            check_rank(self.rank)
            if not isinstance(self.padding_mode, str) and self.padding_mode != 0:
                raise ValueError(
                    f"padding_mode={self.padding_mode!r}: a constant other than 0 cannot be padded "
                    "between the two convolutions; pad the image before the layer"
                )
        shared: dict[str, Any] = dict(
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            precision=self.precision,
            kernel_init=self.kernel_init,
            padding_mode=self.padding_mode,
            backward=self.backward,
        )
        x = Conv(
            self.rank,
            (height, 1),
            strides=(down, 1),
            padding=rows,
            kernel_dilation=(row_gap, 1),
            use_bias=False,
            name="column",
            **shared,
        )(x)
        return Conv(
            self.features,
            (1, width),
            strides=(1, across),
            padding=columns,
            kernel_dilation=(1, column_gap),
            use_bias=self.use_bias,
            bias_init=self.bias_init,
            name="row",
            **shared,
        )(x)


def split_padding(padding: Any) -> tuple[Any, Any]:
    """Returns the padding of the rows alone and of the columns alone.

    Args:
        padding: as in `Conv`.
    """
    if isinstance(padding, str):
        return padding, padding
    rows, columns = (padding, padding) if isinstance(padding, int) else padding
    return (rows, 0), (0, columns)


def check_rank(rank: Any) -> None:
    """Raises a ValueError unless a rank is an int of at least 1.

    Args:
        rank: what was given.
    """
    if not is_int(rank) or rank < 1:
        raise ValueError(f"rank must be an int of at least 1, got {rank!r}")


def low_rank_of(module: linen.Module, rank: Any) -> LowRankConv:
    """Returns a bound layer of low rank in the place of a convolution, with its fields.

    Args:
        module: the bound convolution, `flax.linen.Conv` or `nn.Conv`.
        rank: channels between the column and the row.

    Raises:
        ValueError: the layer is no convolution in two dimensions without groups, mask and dilated
            input; the message names the layer.
    """
    with naming_layer(module):
        check_rank(rank)
        if problem := refuses_low_rank(module):
            raise ValueError(f"rank: {problem}")
    made: Any = module
    own = {
        name: getattr(made, name) for name in ("padding_mode", "backward") if hasattr(made, name)
    }
    return LowRankConv(
        features=made.features,
        kernel_size=tuple(made.kernel_size),
        rank=rank,
        strides=1 if made.strides is None else made.strides,
        padding=made.padding,
        kernel_dilation=1 if made.kernel_dilation is None else made.kernel_dilation,
        use_bias=made.use_bias,
        dtype=made.dtype,
        param_dtype=made.param_dtype,
        precision=made.precision,
        kernel_init=made.kernel_init,
        bias_init=made.bias_init,
        # Bound to the convolution's own place, so that its parameters lie there.
        parent=made.scope,
        **own,
    )


def refuses_low_rank(module: linen.Module) -> str:
    """Returns why a layer cannot be replaced by one of low rank; "" if it can.

    Args:
        module: the layer.
    """
    if not isinstance(module, linen.Conv):
        return f"{type(module).__name__} is no convolution"
    size: Any = module.kernel_size
    if isinstance(size, int) or len(size) != 2:
        return f"its kernel of size {size!r} has not two dimensions"
    if module.feature_group_count != 1:
        return f"its {module.feature_group_count} groups keep channels apart"
    dilated = module.input_dilation
    if module.mask is not None or dilated not in (None, 1, (1, 1)):
        return "its mask or dilated input has no form of low rank"
    return ""
