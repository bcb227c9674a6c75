"""Each layer of `layers.py` as functions to time: ours, lax's, and PyTorch's where installed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnjax import ops
from scripts.benchmarks.cases.layers import Conv, Pool

NHWC = ("NHWC", "HWIO", "NHWC")


@dataclasses.dataclass(frozen=True)
class Pass:
    """One pass of a layer: the functions to compare on the same arrays, and its multiply-adds."""

    name: str
    arrays: tuple[Any, ...]
    ours: Callable
    lax: Callable
    multiply_adds: int
    torch: Callable[[], object] | None = None


def passes(layer: Conv | Pool, with_torch: bool) -> list[Pass]:
    """Returns the passes of a layer: forward, dL/dx and dL/dk, or forward and backward.

    Args:
        layer: the layer's sizes.
        with_torch: whether PyTorch is installed and takes part.
    """
    if isinstance(layer, Pool):
        return _pool(layer, with_torch)
    return _transposed(layer, with_torch) if layer.transposed else _conv(layer, with_torch)


def normal(seed: int, *shape: int) -> jax.Array:
    """Returns standard normal float32 numbers.

    Args:
        seed: of the generator.
        *shape: of the array.
    """
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def _adjoint(function: Callable, argument: int, *arrays: jax.Array) -> jax.Array:
    """Returns the gradient of `function(x, k)` by one argument; `arrays` are x, k and dL/dy."""
    *operands, grad = arrays
    fixed = operands[1 - argument]
    turned = (lambda x: function(x, fixed)) if argument == 0 else (lambda k: function(fixed, k))
    return jax.vjp(turned, operands[argument])[1](grad)[0]


def _conv(layer: Conv, with_torch: bool) -> list[Pass]:
    shape = (layer.kernel, layer.kernel, layer.channels // layer.groups, layer.filters)
    x, k = normal(0, layer.batch, layer.size, layer.size, layer.channels), normal(1, *shape)
    options: dict[str, Any] = dict(strides=layer.stride, padding=layer.padding, groups=layer.groups)
    pads = [(layer.padding, layer.padding)] * 2

    def plain(x, k):
        return lax.conv_general_dilated(
            x, k, (layer.stride,) * 2, pads, dimension_numbers=NHWC,
            feature_group_count=layer.groups,
        )  # fmt: skip

    g = normal(2, *jax.eval_shape(plain, x, k).shape)
    work = g.size * layer.kernel**2 * shape[2]
    native = _torch_conv(layer, x, k, g) if with_torch else {}
    ours = partial(ops.conv2d, **options)
    return [
        Pass("forward", (x, k), ours, plain, work, native.get("forward")),
        Pass(
            "dL/dx",
            (x, k, g),
            lambda x, k, g: ops.conv2d_input_grad(g, k, x.shape, **options),
            partial(_adjoint, plain, 0),
            work,
            native.get("dL/dx"),
        ),
        Pass(
            "dL/dk",
            (x, k, g),
            lambda x, k, g: ops.conv2d_kernel_grad(x, g, k.shape, **options),
            partial(_adjoint, plain, 1),
            work,
            native.get("dL/dk"),
        ),
    ]


def _transposed(layer: Conv, with_torch: bool) -> list[Pass]:
    shape = (layer.kernel, layer.kernel, layer.channels, layer.filters)
    x, k = normal(0, layer.batch, layer.size, layer.size, layer.channels), normal(1, *shape)
    # lax pads the dilated input; our padding is that of the convolution whose adjoint this is.
    cut = layer.kernel - 1 - layer.padding
    pads = [(cut, cut)] * 2
    ours = partial(ops.conv2d_transpose, strides=layer.stride, padding=layer.padding)

    def plain(x, k):
        return lax.conv_transpose(
            x, k[::-1, ::-1], (layer.stride,) * 2, pads, dimension_numbers=NHWC
        )

    g = normal(2, *jax.eval_shape(plain, x, k).shape)
    work = x.size * layer.kernel**2 * layer.filters
    native = _torch_conv(layer, x, k, g) if with_torch else {}
    return [
        Pass("forward", (x, k), ours, plain, work, native.get("forward")),
        Pass(
            "dL/dx",
            (x, k, g),
            partial(_adjoint, ours, 0),
            partial(_adjoint, plain, 0),
            work,
            native.get("dL/dx"),
        ),
        Pass(
            "dL/dk",
            (x, k, g),
            partial(_adjoint, ours, 1),
            partial(_adjoint, plain, 1),
            work,
            native.get("dL/dk"),
        ),
    ]


def _torch_conv(layer: Conv, x, k, g) -> dict[str, Callable[[], object]]:
    import torch  # pyright: ignore[reportMissingImports]

    x, g = _channels_last(x), _channels_last(g)
    # PyTorch's kernels are (filters, channels), those of transposed ones (channels, filters).
    order = (2, 3, 0, 1) if layer.transposed else (3, 2, 0, 1)
    k = torch.from_numpy(np.array(k)).permute(*order).contiguous(memory_format=torch.channels_last)
    two = [layer.padding] * 2, [1, 1], layer.transposed, [0, 0], layer.groups
    strides = [layer.stride] * 2

    def gradient(mask):
        return torch.ops.aten.convolution_backward(g, x, k, None, strides, *two, mask)

    return {
        "forward": lambda: torch.ops.aten.convolution(x, k, None, strides, *two),
        "dL/dx": lambda: gradient([True, False, False]),
        "dL/dk": lambda: gradient([False, True, False]),
    }


def _channels_last(x):
    import torch  # pyright: ignore[reportMissingImports]

    return torch.from_numpy(np.array(x)).permute(0, 3, 1, 2)


def _pool(layer: Pool, with_torch: bool) -> list[Pass]:
    x = normal(0, layer.batch, layer.size, layer.size, layer.channels)
    ours, plain = _POOLS[layer.kind](layer)
    y, ours_vjp = jax.vjp(ours, x)
    _, plain_vjp = jax.vjp(plain, x)
    g = normal(2, *y.shape)
    native = _torch_pool(layer, x, g) if with_torch else {}
    # LRN has no window: it sums five channels.
    work = y.size * (layer.window**2 or 5)
    forward = Pass("forward", (x,), ours, plain, work, native.get("forward"))
    if layer.kind == "lrn":
        # lax's forward pass writes four arrays for its backward pass: both are timed together.
        whole = [lambda x, g, f=f: jax.vjp(f, x)[1](g)[0] for f in (ours, plain)]
        both = "forward + backward"
        return [forward, Pass(both, (x, g), whole[0], whole[1], 3 * work, native.get(both))]
    return [
        forward,
        # The forward pass keeps what the backward pass needs; only the latter is timed here.
        Pass(
            "backward",
            ((ours_vjp, plain_vjp), g),
            lambda saved, g: saved[0](g)[0],
            lambda saved, g: saved[1](g)[0],
            work,
            native.get("backward"),
        ),
    ]


def _window(layer: Pool) -> tuple:
    pads = ((0, 0), (layer.padding,) * 2, (layer.padding,) * 2, (0, 0))
    return (1, layer.window, layer.window, 1), (1, layer.stride, layer.stride, 1), pads


def _max(layer: Pool) -> tuple[Callable, Callable]:
    options = dict(window=layer.window, strides=layer.stride, padding=layer.padding)
    window = _window(layer)
    return partial(ops.max_pool, **options), lambda x: lax.reduce_window(
        x, -jnp.inf, lax.max, *window
    )


def _avg(layer: Pool) -> tuple[Callable, Callable]:
    options = dict(window=layer.window, strides=layer.stride, padding=layer.padding)
    window, area = _window(layer), layer.window**2
    return (
        partial(ops.avg_pool, **options),
        lambda x: lax.reduce_window(x, 0.0, lax.add, *window) / area,
    )


def _lrn(layer: Pool) -> tuple[Callable, Callable]:
    del layer

    def plain(x):
        sums = lax.reduce_window(x * x, 0.0, lax.add, (1, 1, 1, 5), (1, 1, 1, 1), "SAME")
        return x / (2.0 + 1e-4 * sums) ** 0.75

    return partial(ops.local_response_norm, size=5, alpha=1e-4, beta=0.75, k=2.0), plain


_POOLS = {"max": _max, "avg": _avg, "lrn": _lrn}


def _torch_pool(layer: Pool, x, g) -> dict[str, Callable[[], object]]:
    import torch  # pyright: ignore[reportMissingImports]

    aten = torch.ops.aten
    x, g = _channels_last(x), _channels_last(g)
    window = [layer.window] * 2, [layer.stride] * 2, [layer.padding] * 2
    if layer.kind == "max":
        _, index = aten.max_pool2d_with_indices(x, *window)
        return {
            "forward": lambda: aten.max_pool2d_with_indices(x, *window),
            "backward": lambda: aten.max_pool2d_with_indices_backward(
                g, x, *window, [1, 1], False, index
            ),
        }
    if layer.kind == "avg":
        return {
            "forward": lambda: aten.avg_pool2d(x, *window),
            "backward": lambda: aten.avg_pool2d_backward(g, x, *window, False, True, None),
        }
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()

    def norm(x):
        # PyTorch divides alpha by the size.
        return torch.nn.functional.local_response_norm(x, 5, 5e-4, 0.75, 2.0)

    return {
        "forward": lambda: norm(x),
        "forward + backward": lambda: torch.autograd.grad(norm(leaf), leaf, g),
    }
