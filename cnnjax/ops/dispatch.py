"""Which formulation computes which convolution: the decision, measured, in one place.

`choose` is a pure function of the pass, the shapes and the platform. On every platform but CPU it
answers "direct": lax's own form, which XLA maps to the vendor's library.
"""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

import jax
from jax import lax

from cnnjax.ops.algorithms import (
    block_diagonal,
    direct,
    fft,
    im2col,
    matmul,
    phases,
    shift_add,
    shifted_matmul,
    space_to_depth,
    width_im2col,
)
from cnnjax.ops.conv_spec import ConvSpec

ALGORITHMS: dict[str, ModuleType] = {
    "direct": direct,
    "im2col": im2col,
    "fft": fft,
    "matmul": matmul,
    "shift_add": shift_add,
    "block_diagonal": block_diagonal,
    "phases": phases,
    "space_to_depth": space_to_depth,
    "shifted_matmul": shifted_matmul,
    "width_im2col": width_im2col,
}
PASSES = ("forward", "input_grad", "kernel_grad")


def check_algorithm(op: str, spec: ConvSpec, kernel_shape: tuple[int, ...]) -> None:
    """Raises a ValueError if the forced algorithm is unknown or cannot take the convolution."""
    if spec.algorithm is None:
        return
    if spec.algorithm not in ALGORITHMS:
        raise ValueError(
            f"{op}: algorithm must be None or one of {', '.join(map(repr, ALGORITHMS))}, got "
            f"{spec.algorithm!r}"
        )
    reason = ALGORITHMS[spec.algorithm].refuses(spec, kernel_shape)
    if reason:
        raise ValueError(
            f"{op}: algorithm {spec.algorithm!r} {reason}; got a kernel of {kernel_shape} with "
            f"{spec}; leave algorithm=None for the measured choice"
        )


def choose(
    pass_: str,
    spec: ConvSpec,
    input_shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    platform: str = "cpu",
) -> str:
    """Returns the name of the formulation for one pass of one convolution."""
    if platform != "cpu":
        return "direct"
    per_group = kernel_shape[2]
    if spec.groups > 1:
        return "shift_add" if per_group == 1 else "block_diagonal"
    if not matmul.refuses(spec, kernel_shape):
        return "matmul"
    return "direct"


def run(
    pass_: str,
    spec: ConvSpec,
    input_shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    static: tuple[Any, ...],
    *arrays: jax.Array,
) -> jax.Array:
    """Computes one pass by the forced algorithm, or by the measured choice of each platform."""
    own = partial(getattr(direct, pass_), spec, *static)
    forced = getattr(ALGORITHMS.get(spec.algorithm or ""), pass_, None)
    if forced is not None:
        return forced(spec, *static, *arrays)
    name = choose(pass_, spec, input_shape, kernel_shape)
    if name == "direct":
        return own(*arrays)
    chosen = partial(getattr(ALGORITHMS[name], pass_), spec, *static)
    return lax.platform_dependent(*arrays, cpu=chosen, default=own)
