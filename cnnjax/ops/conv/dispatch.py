"""Which formulation computes which convolution: the decision, measured, in one place.

`choose` is a pure function of the pass, the shapes and the platform. On every platform but CPU it
returns "direct": lax's own form, which XLA maps to the vendor's library. On a GPU it is faster than
the others for grouped and depthwise layers too: docs/results/gpu_formulations.md.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from types import ModuleType
from typing import Any

import jax

from cnnjax.ops import sizes
from cnnjax.ops.checks import MOST_TERMS
from cnnjax.ops.conv import onednn
from cnnjax.ops.conv.algorithms import (
    block_diagonal,
    columns,
    direct,
    fft,
    im2col,
    matmul,
    merged,
    phases,
    shift_add,
    space_to_depth,
)
from cnnjax.ops.conv.batch_axis import on_each_part
from cnnjax.ops.conv.spec import ConvSpec
from cnnjax.ops.platforms import by_platform

ALGORITHMS: dict[str, ModuleType] = {
    "direct": direct,
    "im2col": im2col,
    "fft": fft,
    "matmul": matmul,
    "columns": columns,
    "merged": merged,
    "shift_add": shift_add,
    "block_diagonal": block_diagonal,
    "phases": phases,
    "space_to_depth": space_to_depth,
}
PASSES = ("forward", "input_grad", "kernel_grad")

# Of the two arrays that a pass takes, which are batches.
_CUT = {"forward": (True, False), "input_grad": (True, False), "kernel_grad": (True, True)}


def check_algorithm(
    op: str, spec: ConvSpec, input_shape: tuple[int, ...], kernel_shape: tuple[int, ...]
) -> None:
    """Raises a ValueError if the forced algorithm is unknown or cannot compute the convolution.

    Args:
        op: the calling function, for the message.
        spec: the convolution.
        input_shape: (batch, height, width, channels) of its input.
        kernel_shape: (height, width, channels / groups, filters).
    """
    if spec.algorithm is None:
        return
    if spec.algorithm not in ALGORITHMS:
        raise ValueError(
            f"{op}: algorithm must be None or one of {', '.join(map(repr, ALGORITHMS))}, got "
            f"{spec.algorithm!r}"
        )
    reason = ALGORITHMS[spec.algorithm].refuses(spec, input_shape, kernel_shape)
    if reason:
        raise ValueError(
            f"{op}: algorithm {spec.algorithm!r} {reason}; got a kernel of {kernel_shape} on "
            f"images of {input_shape} with {spec}; leave algorithm=None for the measured choice"
        )


def choose(
    pass_: str,
    spec: ConvSpec,
    input_shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    platform: str = "cpu",
) -> str:
    """Returns the name of the formulation for one pass of one convolution.

    `scripts/benchmarks/choices.py` makes the measurements behind each line.

    Args:
        pass_: "forward", "input_grad" or "kernel_grad".
        spec: the convolution.
        input_shape: (batch, height, width, channels) of its input.
        kernel_shape: (height, width, channels / groups, filters).
        platform: a name that `jax.default_backend()` may return.
    """
    if platform != "cpu":
        return "direct"
    height, width, per_group, filters = kernel_shape
    spans = [(n - 1) * d + 1 for n, d in zip((height, width), spec.dilation, strict=True)]
    exceeds = any(span > size for span, size in zip(spans, input_shape[1:3], strict=True))
    if spec.onednn and not exceeds:
        name = _of_onednn(pass_, spec, input_shape, kernel_shape)
        if name is not None:
            return name
    if spec.groups > 1:
        name = "shift_add" if per_group == 1 else "block_diagonal"
        # Written out, larger ones take minutes to compile.
        refused = ALGORITHMS[name].refuses(spec, input_shape, kernel_shape)
        return "direct" if refused else name
    if not matmul.refuses(spec, input_shape, kernel_shape):
        # Products of the pixels that a stride visits are cheap, writing them between zeros is not.
        spread = pass_ == "input_grad" and (height, width) == (1, 1) and spec.strides != (1, 1)
        return "direct" if spread else "matmul"
    if exceeds:
        # XLA's CPU compiler takes a naive loop where the kernel exceeds the image without padding:
        # 96 against 1.6 ms for 3x3 with 512 channels on 2x2.
        return "im2col"
    if spec.dilation != (1, 1):
        return "direct"
    if spec.strides == (1, 1):
        return _unstrided(pass_, height * width, per_group, filters)
    if max(spec.strides) > max(height, width):
        # Folding would write out the pixels that no window reads.
        return "direct"
    return _strided(pass_, max(height, width), per_group, filters)


def _of_onednn(
    pass_: str, spec: ConvSpec, input_shape: tuple[int, ...], kernel_shape: tuple[int, ...]
) -> str | None:
    """Returns the form that XLA turns into a good call of oneDNN; None if there is none.

    XLA leaves images spread out by a stride alone, and negative padding. Of 1x1 convolutions oneDNN
    computes the product faster: 0.89 against 1.73 ms for 14x14x1024 to 256.
    """
    height, width, per_group, filters = kernel_shape
    if any(side < 0 for pads in spec.padding for side in pads):
        return None
    if not matmul.refuses(spec, input_shape, kernel_shape):
        return None
    unstrided = spec.strides == (1, 1)
    folds = _strided(pass_, max(height, width), per_group, filters) == "space_to_depth"
    if pass_ == "input_grad" and spec.groups == 1 and per_group <= 4 and (unstrided or folds):
        # The images' channels are the filters here, too few for a fast call: 27.8 ms by phases
        # against 8.3 by folding for the first layer of ResNet-50.
        return None
    if pass_ == "forward" or (pass_ == "input_grad" and unstrided):
        return "direct"
    if max(spec.strides) > max(height, width) or (spec.groups > 1 and per_group == 1):
        return None
    if pass_ == "input_grad":
        return None if phases.refuses(spec, input_shape, kernel_shape) else "phases"
    # Fewer columns than fill two vectors: VGG's first layer takes 9.7 ms, and 5.9 by XLA.
    few = spec.groups == 1 and spec.strides == (1, 1) and width * per_group < 16
    useless = sizes.span(width, spec.dilation[1]) > 2 * width
    return None if few or useless or (height, width) == (1, 1) else "merged"


def _unstrided(pass_: str, taps: int, channels: int, filters: int) -> str:
    """Returns the choice without a stride: few channels and few filters leave vector lanes empty.

    Such are LeNet's layers and the first layer of a CIFAR net. Shifted additions are the fastest
    first layer alone (0.50 against 0.76 ms for LeNet-5's), but XLA computes them again wherever
    their result is used, the rectifier's mask included.
    """
    if taps == 1 or filters > 16:
        return "direct"
    if pass_ == "kernel_grad":
        return "columns" if channels == 1 or taps * channels >= 100 else "direct"
    if channels == 1 and pass_ == "input_grad" and taps < MOST_TERMS:
        return "shift_add"
    return "columns" if channels <= 8 else "direct"


def _strided(pass_: str, kernel: int, channels: int, filters: int) -> str:
    """Returns the choice with a stride: first layers on images are 7x7/2, 11x11/4 and 3x3/2."""
    if channels > 4 or filters < 16:
        return "direct"
    if pass_ == "forward":
        return "space_to_depth" if kernel <= 3 else "direct"
    if pass_ == "kernel_grad":
        return "space_to_depth" if 5 <= kernel <= 7 else "direct"
    return "space_to_depth" if kernel >= 7 else "direct"


def run(
    pass_: str,
    spec: ConvSpec,
    input_shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    static: tuple[Any, ...],
    *arrays: jax.Array,
) -> jax.Array:
    """Runs one pass by the forced algorithm, or by the measured choice of each platform.

    Args:
        pass_: "forward", "input_grad" or "kernel_grad".
        spec: the convolution.
        input_shape: (batch, height, width, channels) of its input.
        kernel_shape: (height, width, channels / groups, filters).
        static: the size that the pass takes between `spec` and its arrays: none for "forward", the
            input's for "input_grad", the kernel's for "kernel_grad".
        *arrays: the two arrays that the pass takes.
    """
    if spec.onednn and not onednn.serves(arrays[0].dtype):
        spec = dataclasses.replace(spec, onednn=False)
    own = partial(getattr(direct, pass_), spec, *static)
    forced = getattr(ALGORITHMS.get(spec.algorithm or ""), pass_, None)
    name = choose(pass_, spec, input_shape, kernel_shape)
    if forced is not None:
        function: Any = partial(forced, spec, *static)
    elif name == "direct":
        function = own
    else:
        chosen = partial(getattr(ALGORITHMS[name], pass_), spec, *static)
        function = partial(by_platform, cpu=chosen, default=own)
    return on_each_part(function, spec.batch_axis, _CUT[pass_], *arrays)


def run_native(
    pass_: str, spec: ConvSpec, static: tuple[Any, ...], *arrays: jax.Array
) -> jax.Array:
    """Runs one pass in lax's own form, with JAX's derivative.

    Args:
        pass_: "forward", "input_grad" or "kernel_grad".
        spec: the convolution.
        static: as for `run`.
        *arrays: the two arrays that the pass takes.
    """
    function = partial(getattr(direct, pass_), spec, *static)
    return on_each_part(function, spec.batch_axis, _CUT[pass_], *arrays)
