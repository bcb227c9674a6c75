"""A dense layer as a Flax module, on the backward rule of `cnnjax.ops`."""

from typing import Any

import flax.linen as linen
from jaxtyping import Array, Float

from cnnjax import ops
from cnnjax.nn.layer_errors import naming_layer


class Dense(linen.Dense):
    """An affine map of the last dimension, with `flax.linen.Dense`'s fields and parameter tree.

    Checkpoints of `flax.linen.Dense` load unchanged. The gradients come from the rules of
    `cnnjax.ops.dense`; `dot_general` and `dot_general_cls` raise an error, since they would replace
    the product.

    Attributes:
        features: number of outputs.
        use_bias: whether a bias is added to each output.
        dtype: dtype of the computation; parameters have `param_dtype`.
        backward: "ours" for the rules of `cnnjax.ops`, "native" for JAX's autodiff.

    Example:
        >>> import jax
        >>> from cnnjax import nn
        >>> x = jax.ShapeDtypeStruct((2, 128), "float32")
        >>> jax.eval_shape(nn.Dense(10).init_with_output, jax.random.key(0), x)[0].shape
        (2, 10)
    """

    backward: str = "ours"

    @linen.compact
    def __call__(self, inputs: Float[Array, "*batch channels"]) -> Float[Array, "*batch features"]:
        """Maps each example.

        Args:
            inputs: values, with any number of batch dimensions.

        Raises:
            ValueError: the given kernel does not fit the inputs, or `dot_general` or
                `dot_general_cls` is set. The message names the layer.
        """
        with naming_layer(self):
            if self.dot_general is not None or self.dot_general_cls is not None:
                raise ValueError(
                    "dot_general and dot_general_cls replace the product, which has backward rules "
                    "of its own here; use flax.linen.Dense with them"
                )
            shape = (inputs.shape[-1], self.features)
            kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
            bias = None
            if self.use_bias:
                bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
            promoted: Any = self.promote_dtype(inputs, kernel, bias, dtype=self.dtype)
            x, kernel, bias = promoted
            y = ops.dense(x, kernel, precision=self.precision, backward=self.backward)
            return y if bias is None else ops.add_bias(y, bias, backward=self.backward)
