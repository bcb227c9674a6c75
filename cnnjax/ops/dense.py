"""A dense layer's product, with a backward rule that is bound by memory alone for few examples."""

from __future__ import annotations

from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.agreement import check_dtypes
from cnnjax.ops.arguments.table import checked
from cnnjax.ops.conv.algorithms.taps import product, product_with_transpose
from cnnjax.ops.platforms import by_platform
from cnnjax.ops.rules import make_op

__all__ = ["dense"]

FEW_ROWS = 16
"""Up to this many examples, dL/dk is added up elementwise on CPU: see `_kernel_grad`."""


@checked(x="array", kernel="array", precision="precision", backward="backward")
def dense(
    x: Float[Array, "*batch inputs"],
    kernel: Float[Array, "inputs features"],
    *,
    precision: lax.PrecisionLike = None,
    backward: str = "ours",
) -> Float[Array, "*batch features"]:
    """Returns each example multiplied by a matrix: y_o = Σ_i x_i k_io.

    Args:
        x: examples, with any number of batch dimensions, floating dtype.
        kernel: (inputs, features), of the same dtype.
        precision: lax's precision of the product.
        backward: "ours" for dL/dx = g kᵀ and dL/dk = xᵀ g as written here; "native" for JAX's own,
            which forward mode needs.

    Returns:
        (*batch, features) in the dtype of `x`; the half types are summed in float32.

    Raises:
        ValueError: `kernel` is not a matrix with a row for each input.
        TypeError: the dtypes differ or are not floating.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.dense(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]))
        Array([[1., 2., 3.]], dtype=float32)
    """
    return _dense(x, kernel, precision=precision, backward=backward)


def _check(x: jax.Array, kernel: jax.Array, *, precision: lax.PrecisionLike) -> None:
    del precision
    check_dtypes("dense", x=x, kernel=kernel)
    if jnp.ndim(kernel) != 2 or jnp.ndim(x) < 1 or x.shape[-1] != kernel.shape[0]:
        raise ValueError(
            "dense: kernel must be a matrix with a row for each of the last dimension of x, got "
            f"{jnp.shape(kernel)} for x of shape {jnp.shape(x)}"
        )


def _forward(x: jax.Array, kernel: jax.Array, *, precision: lax.PrecisionLike) -> jax.Array:
    return product(_rows(x), kernel, precision).reshape(*x.shape[:-1], kernel.shape[1])


def _backward(saved, grad: jax.Array, *, precision: lax.PrecisionLike):
    x, kernel = saved
    grad = _rows(grad)
    input_grad = _input_grad(precision, grad, kernel).reshape(x.shape)
    return input_grad, _kernel_grad(precision, _rows(x), grad)


_dense = make_op("dense", _forward, _backward, check=_check, native=product, least_rank=2)


def _rows(x: jax.Array) -> jax.Array:
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def _input_grad(precision: lax.PrecisionLike, grad: jax.Array, kernel: jax.Array) -> jax.Array:
    """dL/dx = g kᵀ."""
    return by_platform(
        grad,
        kernel,
        cpu=partial(product_with_transpose, precision=precision),
        default=lambda grad, kernel: product(grad, kernel.T, precision),
    )


def _kernel_grad(precision: lax.PrecisionLike, x: jax.Array, grad: jax.Array) -> jax.Array:
    """dL/dk_io = Σ_n x_ni g_no over the examples n.

    For few examples, a sum of outer products is bound by memory, and a matrix product is slow.
    Computed elementwise, it becomes a part of the optimizer's update and is never written out.
    """
    whole = partial(_matrix_form, precision)
    # No examples leave no terms to add up.
    if not 0 < x.shape[0] <= FEW_ROWS:
        return whole(x, grad)
    return by_platform(x, grad, cpu=_outer_products, default=whole)


def _matrix_form(precision: lax.PrecisionLike, x: jax.Array, grad: jax.Array) -> jax.Array:
    return product(x.T, grad, precision)


def _outer_products(x: jax.Array, grad: jax.Array) -> jax.Array:
    wide = sum_dtype(x.dtype)
    x_wide, grad_wide = x.astype(wide), grad.astype(wide)
    terms = (x_wide[n, :, None] * grad_wide[n, None, :] for n in range(x.shape[0]))
    return reduce(lax.add, terms).astype(x.dtype)
