"""The zoo's networks on flax.linen's own layers, as a user writes them without cnnjax.

The networks stay as they are; at tracing time each layer of `cnnjax.nn` is replaced by flax's layer
of the same parameters. What flax lacks (local response normalization) is written as its users do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from jax import lax

from cnnjax import nn
from cnnjax.ops.pool.window import pool_window

PLAIN_OPTION = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""What plain baselines may be compiled with: it keeps XLA's CPU compiler from handing convolutions
to YNNPACK; versions that do not know it raise an error."""


def plain_layers(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
    """Calls flax's layer in place of ours, as an interceptor for `flax.linen.intercept_methods`.

    Args:
        call: the method that would be called.
        args: its arguments.
        kwargs: its keyword arguments.
        context: the module and the method's name.

    Returns:
        The layer's output.
    """
    layer = _LAYERS.get(type(context.module))
    # Ours makes the parameters, so that all contestants start from the same ones.
    if layer is None or context.method_name != "__call__" or context.module.is_initializing():
        return call(*args, **kwargs)
    return layer(context.module, *args)


def without_dropout(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
    """Leaves dropout out, as an interceptor: libraries draw other masks, but losses must agree.

    Args:
        call: the method that would be called.
        args: its arguments.
        kwargs: its keyword arguments.
        context: the module and the method's name.

    Returns:
        The layer's output.
    """
    if isinstance(context.module, linen.Dropout) and context.method_name == "__call__":
        return args[0]
    return call(*args, **kwargs)


def _conv(module: nn.Conv, x: jax.Array) -> jax.Array:
    layer = linen.Conv(
        module.features,
        module.kernel_size,
        strides=module.strides,
        padding=module.padding,
        kernel_dilation=module.kernel_dilation,
        feature_group_count=module.feature_group_count,
        use_bias=module.use_bias,
        dtype=module.dtype,
        parent=None,
    )
    return layer.apply({"params": module.variables["params"]}, x)  # pyright: ignore


def _dense(module: nn.Dense, x: jax.Array) -> jax.Array:
    layer = linen.Dense(module.features, use_bias=module.use_bias, dtype=module.dtype, parent=None)
    return layer.apply({"params": module.variables["params"]}, x)  # pyright: ignore


def _batch_norm(module: nn.BatchNorm, x: jax.Array) -> jax.Array:
    layer = linen.BatchNorm(
        use_running_average=module.use_running_average,
        momentum=module.momentum,
        epsilon=module.epsilon,
        dtype=module.dtype,
        parent=None,
    )
    y, updated = layer.apply(module.variables, x, mutable=["batch_stats"])
    if module.is_mutable_collection("batch_stats"):
        for name, value in updated["batch_stats"].items():
            module.put_variable("batch_stats", name, value)
    return y  # pyright: ignore


def _max_pool(module: nn.MaxPool, x: jax.Array) -> jax.Array:
    window = pool_window(
        "max_pool", x, module.window, module.strides, module.padding, module.dilation,
        module.ceil_mode,
    )  # fmt: skip
    pads: Any = window.pads
    return linen.max_pool(x, window.window, window.strides, pads)


def _avg_pool(module: nn.AvgPool, x: jax.Array) -> jax.Array:
    window = pool_window(
        "avg_pool", x, module.window, module.strides, module.padding, 1, module.ceil_mode
    )
    pads: Any = window.pads
    return linen.avg_pool(
        x, window.window, window.strides, pads, count_include_pad=module.count_include_pad
    )


def _response_norm(module: nn.LocalResponseNorm, x: jax.Array) -> jax.Array:
    before = (module.size - 1) // 2
    sums = lax.reduce_window(
        jnp.square(x),
        0.0,
        lax.add,
        (1, 1, 1, module.size),
        (1, 1, 1, 1),
        ((0, 0), (0, 0), (0, 0), (before, module.size - 1 - before)),
    )
    return x / (module.k + module.alpha * sums) ** module.beta


_LAYERS: dict[type, Callable] = {
    nn.Conv: _conv,
    nn.Dense: _dense,
    nn.BatchNorm: _batch_norm,
    nn.MaxPool: _max_pool,
    nn.AvgPool: _avg_pool,
    nn.LocalResponseNorm: _response_norm,
}
