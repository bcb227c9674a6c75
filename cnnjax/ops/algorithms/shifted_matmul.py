"""Dense convolution as one matrix product for each kernel tap, on shifted images."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from cnnjax.ops import sizes
from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.algorithms.taps import all_taps, shifted, zero_pad
from cnnjax.ops.conv_spec import ConvSpec


def refuses(spec: ConvSpec, input_shape: sizes.Size, kernel_shape: sizes.Size) -> str:
    """Returns why this convolution is not dense, or ""."""
    del input_shape, kernel_shape
    return "" if spec.groups == 1 else "needs one group"


def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """dL/dk(a, b) = x(· + a, · + b)ᵀ g; the upstream gradient is transposed once for all taps."""
    padded, out_size = zero_pad(x, spec.padding), grad.shape[1:3]
    turned = grad.reshape(-1, grad.shape[3]).T
    wide = sum_dtype(x.dtype)
    taps = [
        jnp.dot(
            turned,
            shifted(padded, tap, out_size, spec.strides, spec.dilation).reshape(-1, x.shape[3]),
            precision=spec.precision,
            preferred_element_type=wide,
        )
        for tap in all_taps(kernel_size)
    ]
    dk = jnp.stack(taps).transpose(0, 2, 1).astype(x.dtype)
    return dk.reshape(*kernel_size, x.shape[3], grad.shape[3])
