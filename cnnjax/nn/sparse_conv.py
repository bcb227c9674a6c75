"""Convolution in which each output map is connected to some of the input maps only."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from cnnjax import ops
from cnnjax.nn.layer_errors import naming_layer


class SparseConv(linen.Module):
    """A convolution with a table of connections, and weights only for these.

    The kernel parameter has shape (height, width, connections), in the order of the table.

    Attributes:
        table: for each output map, the input maps that it is connected to.
        kernel_size: kernel (height, width).
        strides, padding, backward: as in `Conv`.
        use_bias: whether a bias is added to each output map.
        dtype: dtype of the computation; parameters are float32.
        kernel_init: initializer, called for each output map with the shape (height, width, its
            input maps, 1), so that the fan-in is the true one.
        bias_init: initializer of the biases.

    Example:
        >>> import jax
        >>> from cnnjax import nn
        >>> conv = nn.SparseConv(table=((0, 1), (1, 2), (0, 1, 2)), kernel_size=(5, 5))
        >>> x = jax.ShapeDtypeStruct((2, 14, 14, 3), "float32")
        >>> y, variables = jax.eval_shape(conv.init_with_output, jax.random.key(0), x)
        >>> y.shape, variables["params"]["kernel"].shape
        ((2, 10, 10, 3), (5, 5, 7))

    Source: LeCun et al., 1998, section II.B and table I.
    """

    table: tuple[tuple[int, ...], ...]
    kernel_size: tuple[int, int]
    strides: int = 1
    padding: Any = "VALID"
    use_bias: bool = True
    dtype: Any = jnp.float32
    kernel_init: Any = linen.initializers.lecun_normal()
    bias_init: Any = linen.initializers.zeros_init()
    backward: str = "ours"

    @property
    def connections(
        self,
    ) -> tuple[Int[np.ndarray, " connections"], Int[np.ndarray, " connections"]]:
        """The input map and the output map of every connection."""
        pairs = [(i, o) for o, inputs in enumerate(self.table) for i in inputs]
        inputs, outputs = np.array(pairs).T
        return inputs, outputs

    def _init_weights(self, key: jax.Array) -> Float[Array, "height width connections"]:
        """Returns the initial weights, in the order of the table."""
        # One draw for each output map, because the fan-in differs between them.
        keys = jax.random.split(key, len(self.table))
        columns = [
            self.kernel_init(k, (*self.kernel_size, len(inputs), 1), jnp.float32)[..., 0]
            for k, inputs in zip(keys, self.table, strict=True)
        ]
        return jnp.concatenate(columns, axis=-1)

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch rows columns features"]:
        """Convolves each image.

        Args:
            x: feature maps, with every input map that the table names.

        Raises:
            ValueError: the table names a map that the input does not have, or the kernel is larger
                than the padded input. The message names the layer.
        """
        with naming_layer(self):
            channels, features = x.shape[-1], len(self.table)
            inputs, outputs = self.connections
            if inputs.max() >= channels or inputs.min() < 0:
                raise ValueError(
                    f"the table names input map {inputs.max()}, but the input has maps 0 to "
                    f"{channels - 1}"
                )
            # Absent connections are zeros of a dense kernel: one product, and the same rules.
            dense = (*self.kernel_size, channels, features)
            weights = jnp.asarray(self.param("kernel", self._init_weights), self.dtype)
            kernel = jnp.zeros(dense, self.dtype).at[..., inputs, outputs].set(weights)
            y = ops.conv2d(
                jnp.asarray(x, self.dtype),
                kernel,
                strides=self.strides,
                padding=self.padding,
                backward=self.backward,
            )
            if self.use_bias:
                bias = self.param("bias", self.bias_init, (features,), jnp.float32)
                y = y + jnp.asarray(bias, self.dtype).reshape(1, 1, 1, -1)
            return y
