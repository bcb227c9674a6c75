"""A right call of every op, and values that are wrong for some arguments or for all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from cnnjax import ops


@dataclasses.dataclass(frozen=True)
class Call:
    """A right call.

    Attributes:
        function: the op.
        arguments: right values, by the names of the arguments.
        kinds: the kind of each argument: array, numeric array, pair, count, number, flag, choice or
            other.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    kinds: Mapping[str, str]


def op_names() -> list[str]:
    """Returns the names of all ops, without computing anything."""
    return list(_CALLS)


def right_call(name: str) -> Call:
    """Returns the right call of an op; this makes arrays of jax.

    Args:
        name: one of `op_names`.
    """
    texts = _CALLS[name]
    function = getattr(ops.filters, name) if name in _FILTERS else getattr(ops, name)
    kinds = {argument: _kind(name, argument) for argument in texts}
    return Call(function, {argument: _VALUES[text]() for argument, text in texts.items()}, kinds)


_IMAGES = np.linspace(-1, 1, 2 * 8 * 8 * 4, dtype=np.float32).reshape(2, 8, 8, 4)
_VALUES: Mapping[str, Callable[[], Any]] = {
    "images": lambda: jnp.asarray(_IMAGES),
    "gray": lambda: jnp.asarray(_IMAGES[..., :1]),
    "small": lambda: jnp.asarray(_IMAGES[:, ::2, ::2]),
    "places": lambda: jnp.arange(2 * 4 * 4 * 4, dtype=jnp.int32).reshape(2, 4, 4, 4) % 64,
    "columns": lambda: jnp.ones((2, 8, 8, 36)),
    "kernel": lambda: jnp.ones((3, 3, 4, 4)),
    # In the default layout of lax, channels are the second axis.
    "lax kernel": lambda: jnp.ones((4, 8, 3, 3)),
    "flat kernel": lambda: jnp.ones((3, 3, 1, 4)),
    "local kernel": lambda: jnp.ones((8, 8, 36, 4)),
    "matrix": lambda: jnp.ones((4, 5)),
    "filter": lambda: np.ones((3, 3), np.float32),
    "vector": lambda: jnp.ones(4),
    "shape": lambda: (2, 8, 8, 4),
    "kernel shape": lambda: (3, 3, 4, 4),
    "pads": lambda: ((1, 1), (1, 1)),
    "pair": lambda: (2, 2),
    "1": lambda: 1,
    "2": lambda: 2,
    "3": lambda: 3,
    "5": lambda: 5,
    "0.5": lambda: 0.5,
    "ones": lambda: (1, 1),
    "VALID": lambda: "VALID",
    "SAME": lambda: "SAME",
    "zeros": lambda: "zeros",
    "reflect": lambda: "reflect",
    "ours": lambda: "ours",
    "None": lambda: None,
    "False": lambda: False,
}

_SLIDE = {"strides": "1", "padding": "SAME", "dilation": "1"}
_CONV = {**_SLIDE, "groups": "1", "precision": "None", "algorithm": "None"}
_POOL = {"x": "images", "window": "2", "strides": "2", "padding": "VALID", "dilation": "1"}
_POOL = {**_POOL, "ceil_mode": "False"}
_LAX = {"lhs": "images", "rhs": "lax kernel", "window_strides": "ones", "padding": "SAME"}
_X = {"x": "images"}
_MODE = {"padding_mode": "reflect"}
_NORM = {**_X, "scale": "vector", "bias": "vector"}
_BACK = {"backward": "ours"}

_FILTERS: Mapping[str, Mapping[str, str]] = {
    "apply_filter": {**_X, "kernel": "filter", **_MODE},
    "box_blur": {**_X, "size": "3", **_MODE},
    "box_kernel": {"size": "3"},
    "gaussian_blur": {**_X, "sigma": "0.5", "size": "3", **_MODE},
    "gaussian_kernel": {"sigma": "0.5", "size": "3"},
    "laplacian": {**_X, **_MODE},
    "sharpen": {**_X, **_MODE},
    "sobel": {**_X, **_MODE},
}

_CALLS: Mapping[str, Mapping[str, str]] = {
    "add_bias": {**_X, "bias": "vector", **_BACK},
    "avg_pool": {**_POOL, "count_include_pad": "False", **_BACK},
    "batch_norm": {**_NORM, "mask": "None", "epsilon": "0.5", "axis_name": "None", **_BACK},
    "batch_norm_inference": {**_NORM, "mean": "vector", "variance": "vector", "epsilon": "0.5"},
    "col2im": {"columns": "columns", "input_shape": "shape", "kernel_size": "3", **_SLIDE},
    "conv2d": {**_X, "kernel": "kernel", **_CONV, "padding_mode": "zeros", **_BACK},
    "conv2d_input_grad": {
        **{"grad": "images", "kernel": "kernel", "input_shape": "shape"},
        **_CONV,
        "padding_mode": "zeros",
    },
    "conv2d_kernel_grad": {
        **{"x": "images", "grad": "images", "kernel_shape": "kernel shape"},
        **_CONV,
        "padding_mode": "zeros",
    },
    "conv2d_transpose": {**_X, "kernel": "kernel", **_CONV, "output_padding": "None", **_BACK},
    "conv_general_dilated": {**_LAX, "lhs_dilation": "None", "rhs_dilation": "ones"},
    "convolve2d": {**_X, "kernel": "kernel", **_SLIDE},
    "dense": {**_X, "kernel": "matrix", "precision": "None", **_BACK},
    "fft_conv2d": {**_X, "kernel": "kernel", **_SLIDE},
    "global_avg_pool": {**_X, "keepdims": "False"},
    "global_max_pool": {**_X, "keepdims": "False"},
    "im2col": {**_X, "kernel_size": "3", **_SLIDE},
    "lax_conv_general_dilated": {**_LAX, "lhs_dilation": "None", "rhs_dilation": "ones"},
    "leaky_relu": {**_X, "negative_slope": "0.5"},
    "local_conv2d": {
        **{"x": "images", "kernel": "local kernel", "kernel_size": "3"},
        **_SLIDE,
        **{"padding_mode": "zeros", "precision": "None", "backward": "ours"},
    },
    "local_contrast_norm": {**_X, "window": "3", "epsilon": "0.5", **_BACK},
    "local_response_norm": {
        **{"x": "images", "size": "5", "alpha": "0.5", "beta": "0.5", "k": "2"},
        **_BACK,
    },
    "max_pool": {**_POOL, **_BACK},
    "max_pool_with_argmax": {**_POOL, **_BACK},
    "max_unpool": {"y": "small", "argmax": "places", "output_shape": "shape"},
    "output_size": {"size": "5", "kernel": "3", "stride": "1", "padding": "1", "dilation": "1"},
    "pad_images": {**_X, "pads": "pads", "mode": "zeros"},
    "relu": _X,
    "relu6": _X,
    "reverse_gradient": {**_X, "strength": "0.5"},
    "scaled_tanh": _X,
    "separable_conv2d": {**_X, "kernel": "flat kernel", **_SLIDE, "padding_mode": "zeros"},
    "separate_kernel": {"kernel": "flat kernel"},
    "sigmoid": _X,
    "sum_pool": {**_POOL, **_BACK},
    "upsample_bilinear": {**_X, "factor": "2"},
    "upsample_nearest": {**_X, "factor": "2"},
    **_FILTERS,
}
# `separable_conv2d` has one channel for each filter of one.
_CALLS = {**_CALLS, "separable_conv2d": {**_CALLS["separable_conv2d"], "x": "gray"}}

_KINDS: Mapping[str, str] = {
    **dict.fromkeys(
        ("x", "y", "kernel", "bias", "scale", "mean", "variance", "columns", "grad"), "array"
    ),
    **dict.fromkeys(("lhs", "rhs", "argmax"), "array"),
    **dict.fromkeys(("window", "strides", "dilation", "kernel_size", "factor"), "pair"),
    **dict.fromkeys(("size", "groups", "stride"), "count"),
    **dict.fromkeys(("epsilon", "alpha", "beta", "k", "sigma", "negative_slope"), "number"),
    **dict.fromkeys(("ceil_mode", "count_include_pad", "keepdims"), "flag"),
    **dict.fromkeys(("backward", "algorithm"), "choice"),
}


def _kind(name: str, argument: str) -> str:
    # Padding takes numbers of every kind.
    if (name, argument) == ("pad_images", "x"):
        return "numeric array"
    return _KINDS.get(argument, "other")


WRONG: Mapping[str, Callable[[], Any]] = {
    "an object": object,
    "bytes": lambda: b"ab",
    "a dictionary": dict,
    "a set": lambda: {1, 2},
    "'no'": lambda: "no",
    "None": lambda: None,
    "NaN": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "-1": lambda: -1,
    "0": lambda: 0,
    "2.5": lambda: 2.5,
    "True": lambda: True,
    "10**9+1": lambda: 10**9 + 1,
    "10**12": lambda: 10**12,
    "-10**12": lambda: -(10**12),
    "10**30": lambda: 10**30,
    "[]": list,
    "(1, 2, 3)": lambda: (1, 2, 3),
    "(2, 'a')": lambda: (2, "a"),
    "((1, 2), 3)": lambda: ((1, 2), 3),
    "an empty array": lambda: jnp.zeros((0, 8, 8, 4)),
    "an array of integers": lambda: jnp.ones((2, 8, 8, 4), jnp.int32),
    "a complex array": lambda: jnp.ones((2, 8, 8, 4), jnp.complex64),
    "a scalar array": lambda: jnp.float32(2),
    "an array of rank 6": lambda: jnp.ones((1,) * 6),
    "a long vector": lambda: jnp.ones(10**4),
    "an array of texts": lambda: np.array(["a", "b"]),
    "an array of objects": lambda: np.array([object(), None]),
    "a float64 array of NumPy": lambda: np.ones((2, 8, 8, 4)),
}
"""Values by their descriptions."""

NONSENSE = frozenset({"an object", "bytes", "a dictionary", "a set", "an array of objects"})
"""Values that every argument has to refuse."""

_NO_ARRAYS = frozenset({"'no'", "None", "(2, 'a')", "an array of texts"})

NONSENSE_FOR: Mapping[str, frozenset[str]] = {
    "array": _NO_ARRAYS | {"a complex array"},
    "numeric array": _NO_ARRAYS,
    "pair": frozenset({"'no'", "NaN", "infinity", "-1", "0", "2.5", "True", "[]", "(1, 2, 3)"}),
    "count": frozenset({"'no'", "NaN", "infinity", "-1", "0", "2.5", "True", "[]", "(1, 2, 3)"}),
    "number": frozenset({"'no'", "NaN", "True", "[]", "(1, 2, 3)"}),
    "flag": frozenset({"'no'", "NaN", "2.5", "[]", "(1, 2, 3)", "10**12", "-1"}),
    "choice": frozenset({"'no'", "NaN", "0", "-1", "True", "[]", "(1, 2, 3)", "2.5"}),
}
"""Values that arguments of a kind have to refuse."""
