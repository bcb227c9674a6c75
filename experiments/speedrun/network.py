"""The network: whitening of 2x2 patches, three blocks of two 3x3 convolutions, and a linear head.

Source: Jordan, 2024 (arXiv 2404.00498), section 3 and appendix A.
"""

from __future__ import annotations

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import nn, ops

LOGIT_SCALE = 1 / 9
PATCH = 2
"""Height and width of the patches that are whitened."""


class SpeedNet(linen.Module):
    """The network of the speedrun.

    Attributes:
        width: channels of the first block; the others have four times as many.
        num_classes: number of logits.
        dtype: dtype of the computation; parameters, statistics and logits are float32.
        whitening_bias: the whitening layer's biases start uniform within plus and minus this.
        unit_head: see `Recipe`.
        backward: "ours" for the rules of `cnnjax.ops`, "native" for lax's autodiff.
        activation: "gelu" or "silu", after each batch norm.
        norm_momentum: share of the running statistics that a step keeps.
    """

    width: int = 64
    num_classes: int = 10
    dtype: Any = jnp.float32
    whitening_bias: float = 0.0
    unit_head: bool = True
    backward: str = "ours"
    activation: str = "gelu"
    norm_momentum: float = 0.6

    @linen.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channels"],
        *,
        train: bool,
        train_whitening: bool = True,
    ) -> Float[Array, "batch classes"]:
        """Returns logits.

        Args:
            x: normalized images.
            train: whether batch norm uses the batch's statistics.
            train_whitening: whether a gradient flows to the whitening layer.
        """
        x = nn.Conv(
            2 * PATCH**2 * x.shape[-1],
            (PATCH, PATCH),
            padding="VALID",
            bias_init=_uniform(self.whitening_bias),
            dtype=self.dtype,
            backward=self.backward,
            name="whiten",
        )(x)
        if not train_whitening:
            # XLA then leaves out the layer's backward pass.
            x = jax.lax.stop_gradient(x)
        x = _gelu(x)
        for number, factor in enumerate((1, 4, 4), start=1):
            x = _Block(
                factor * self.width,
                train,
                self.dtype,
                self.backward,
                self.activation,
                self.norm_momentum,
                name=f"block{number}",
            )(x)
        # 3x3 for images of 32x32.
        x = ops.max_pool(x, x.shape[1:3], backward=self.backward)[:, 0, 0]
        head = linen.Dense(
            self.num_classes,
            use_bias=False,
            kernel_init=_unit_uniform if self.unit_head else _fan_in_uniform,
            # Half precision would be too coarse for the loss.
            dtype=jnp.float32,
            name="head",
        )
        return head(x) * (1 / x.shape[-1] if self.unit_head else LOGIT_SCALE)


class _Block(linen.Module):
    """Convolution, pool, norm, activation, convolution, norm, activation."""

    features: int
    train: bool
    dtype: Any
    backward: str
    activation: str
    norm_momentum: float

    @linen.compact
    def __call__(self, x: Array) -> Array:
        x = self._conv(x, "conv1")
        x = ops.max_pool(x, 2, backward=self.backward)
        activation = {"gelu": _gelu, "silu": jax.nn.silu}[self.activation]
        x = activation(self._norm(x, "norm1"))
        x = self._conv(x, "conv2")
        return activation(self._norm(x, "norm2"))

    def _conv(self, x: Array, name: str) -> Array:
        return nn.Conv(
            self.features,
            (3, 3),
            use_bias=False,
            kernel_init=partial_identity,
            dtype=self.dtype,
            backward=self.backward,
            name=name,
        )(x)

    def _norm(self, x: Array, name: str) -> Array:
        return nn.BatchNorm(
            use_running_average=not self.train,
            momentum=self.norm_momentum,
            # airbench94's.
            epsilon=1e-12,
            dtype=self.dtype,
            backward=self.backward,
            name=name,
        )(x)


def partial_identity(
    key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32
) -> Float[Array, "height width inputs outputs"]:
    """Returns kernels whose first filters pass the input's channels on (Dirac initialization).

    The others are uniform within 1 / sqrt(fan-in).

    Args:
        key: random key.
        shape: height, width, inputs and outputs.
        dtype: of the kernel.

    Source: Zagoruyko and Komodakis, 2017 (DiracNets); arXiv 2404.00498, section 3.3.
    """
    height, width, inputs, outputs = shape
    kept = min(inputs, outputs)
    identity = jnp.zeros((height, width, inputs, kept), dtype)
    identity = identity.at[height // 2, width // 2].set(jnp.eye(inputs, kept, dtype=dtype))
    return _fan_in_uniform(key, shape, dtype).at[..., :kept].set(identity)


def _gelu(x: Array) -> Array:
    return jax.nn.gelu(x, approximate=False)


def _uniform(bound: float) -> Any:
    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def _fan_in_uniform(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    fan_in = 1
    for size in shape[:-1]:
        fan_in *= size
    return _uniform(fan_in**-0.5)(key, shape, dtype)


def _unit_uniform(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    kernel = _fan_in_uniform(key, shape, dtype)
    # As PyTorch's `std`, which the published code calls.
    return kernel / jnp.std(kernel, ddof=1)
