"""Average pooling to a fixed grid, for inputs of every size."""

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnjax.ops.accumulation import sum_dtype


class AdaptiveAvgPool(linen.Module):
    """Averages the windows that divide the input into `output_size` rows and columns.

    Output row i averages input rows floor(i H / n) to ceil((i + 1) H / n), exclusive: PyTorch's
    `adaptive_avg_pool2d`. Windows may overlap, and repeat rows where the input is smaller.

    Attributes:
        output_size: rows and columns of the output.

    Example:
        >>> import jax
        >>> from cnnjax import nn
        >>> x = jax.ShapeDtypeStruct((2, 13, 11, 8), "float32")
        >>> jax.eval_shape(lambda x: nn.AdaptiveAvgPool((6, 6)).apply({}, x), x).shape
        (2, 6, 6, 8)
    """

    output_size: tuple[int, int]

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch rows columns channels"]:
        """Pools each channel of each image, keeping the dtype.

        Args:
            x: feature maps.
        """
        rows, columns = self.output_size
        if x.shape[1:3] == (rows, columns):
            return x
        # Windows may overlap, so the sums are products with two small matrices, one for each axis.
        accumulate = sum_dtype(x.dtype)
        down = jnp.asarray(_averaging_matrix(x.shape[1], rows), accumulate)
        across = jnp.asarray(_averaging_matrix(x.shape[2], columns), accumulate)
        # Accelerators' default precision would round the weights, which are 1 / window size.
        y = jnp.einsum("rh,nhwc,kw->nrkc", down, x.astype(accumulate), across, precision="highest")
        return y.astype(x.dtype)


def _averaging_matrix(size: int, cells: int) -> Float[np.ndarray, "{cells} {size}"]:
    """Returns the matrix whose rows average one window each."""
    matrix = np.zeros((cells, size))
    for i in range(cells):
        start, stop = i * size // cells, -(-(i + 1) * size // cells)
        matrix[i, start:stop] = 1.0 / (stop - start)
    return matrix
