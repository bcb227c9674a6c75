"""A right call of each op, and values of many kinds that most arguments refuse."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import sparse
from jax.sharding import AxisType

X, KERNEL, ROW = jnp.ones((2, 6, 6, 4)), jnp.ones((3, 3, 4, 8)), jnp.ones(4)
PLACES = jnp.zeros((2, 3, 3, 4), jnp.int32)
WINDOWS = dict(strides=1, padding="SAME", dilation=1)
SHARED = WINDOWS | dict(groups=1, padding_mode="zeros", precision=None, algorithm=None)
CONV = dict(x=X, kernel=KERNEL, **SHARED, backward="ours")
POOL = dict(x=X, window=2, strides=2, padding=0, dilation=1, ceil_mode=False, backward="ours")
NORM = dict(x=X, scale=ROW, bias=ROW, epsilon=1e-5)
LAX = dict(
    lhs=X,
    rhs=KERNEL,
    window_strides=(1, 1),
    padding="SAME",
    lhs_dilation=None,
    rhs_dilation=None,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=1,
    batch_group_count=1,
    precision=None,
    preferred_element_type=None,
    out_sharding=None,
)
FILTER = dict(x=X, padding_mode="reflect")


def _without(call, *names):
    return {name: value for name, value in call.items() if name not in names}


RIGHT = {
    "add_bias": dict(x=X, bias=ROW, backward="ours"),
    "apply_filter": FILTER | dict(kernel=np.ones((3, 3))),
    "avg_pool": POOL | dict(count_include_pad=True),
    "batch_norm": NORM | dict(mask=None, axis_name=None, axis_index_groups=None, backward="ours"),
    "batch_norm_inference": NORM | dict(mean=ROW, variance=ROW),
    "batch_over": dict(
        mesh=jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,)), axis="data"
    ),
    "box_blur": FILTER | dict(size=3),
    "box_kernel": dict(size=3),
    "col2im": dict(columns=jnp.ones((2, 6, 6, 36)), input_shape=X.shape, kernel_size=3, **WINDOWS),
    "compiler_options": dict(platform="cpu"),
    "conv2d": CONV,
    "conv2d_input_grad": dict(grad=jnp.ones((2, 6, 6, 8)), kernel=KERNEL, input_shape=X.shape)
    | SHARED,
    "conv2d_kernel_grad": dict(x=X, grad=jnp.ones((2, 6, 6, 8)), kernel_shape=KERNEL.shape)
    | SHARED,
    "conv2d_transpose": _without(CONV, "padding_mode") | dict(output_padding=0),
    "conv_general_dilated": LAX,
    "convolve2d": CONV,
    "dense": dict(x=jnp.ones((2, 3)), kernel=jnp.ones((3, 5)), precision=None, backward="ours"),
    "fft_conv2d": _without(CONV, "algorithm"),
    "gaussian_blur": FILTER | dict(sigma=1.0, size=None),
    "gaussian_kernel": dict(sigma=1.0, size=None),
    "global_avg_pool": dict(x=X, keepdims=False),
    "global_max_pool": dict(x=X, keepdims=False),
    "im2col": dict(x=X, kernel_size=3, **WINDOWS),
    "laplacian": FILTER,
    "lax_conv_general_dilated": LAX,
    "leaky_relu": dict(x=X, negative_slope=0.1),
    "local_conv2d": dict(x=X, kernel=jnp.ones((3, 3, 36, 8)), kernel_size=3, strides=2, padding=1)
    | dict(dilation=1, padding_mode="zeros", precision=None, backward="ours"),
    "local_contrast_norm": dict(x=X, window=3, epsilon=1e-4, backward="ours"),
    "local_response_norm": dict(x=X, size=5, alpha=1e-4, beta=0.75, k=2.0, backward="ours"),
    "max_pool": POOL,
    "max_pool_with_argmax": POOL,
    "max_unpool": dict(y=jnp.ones(PLACES.shape), argmax=PLACES, output_shape=X.shape),
    "output_size": dict(size=6, kernel=3, stride=1, padding=0, dilation=1),
    "pad_images": dict(x=X, pads=((1, 1), (1, 1)), mode="zeros"),
    "relu": dict(x=X),
    "relu6": dict(x=X),
    "reverse_gradient": dict(x=X, strength=0.5),
    "scaled_tanh": dict(x=X),
    "separable_conv2d": _without(CONV, "groups", "precision", "algorithm")
    | dict(kernel=jnp.ones((3, 3, 1, 4))),
    "separate_kernel": dict(kernel=jnp.ones((3, 3, 1, 4))),
    "sharpen": FILTER,
    "sigmoid": dict(x=X),
    "sobel": FILTER,
    "sum_pool": POOL,
    "upsample_bilinear": dict(x=X, factor=2),
    "upsample_nearest": dict(x=X, factor=2),
}

WRONG = {
    "None": None,
    "a word": "nonsense",
    "no word": "",
    "bytes": b"\x01\x02",
    "four bytes": b"\x02\x06\x06\x04",
    "True": True,
    "NumPy's True": np.bool_(True),
    "a float": 1.5,
    "a whole float": 2.0,
    "NumPy's float": np.float32(1.5),
    "NaN": float("nan"),
    "inf": float("inf"),
    "-inf": float("-inf"),
    "a complex number": 1j,
    "-1": -1,
    "0": 0,
    "10**12": 10**12,
    "10**30": 10**30,
    "-10**12": -(10**12),
    "NumPy's 10**12": np.int64(10**12),
    "an empty list": [],
    "one": [1],
    "three": [1, 2, 3],
    "a negative pair": [-1, 1],
    "a pair of zeros": [0, 0],
    "a pair of floats": [1.5, 1.5],
    "a pair of flags": (True, True),
    "a huge pair": [10**12, 1],
    "a pair of None": [None, None],
    "pairs": [[1, 2], [3, 4]],
    "huge pairs": [[10**12, 0], [0, 0]],
    "three pairs": [[1, 2], [3, 4], [5, 6]],
    "a ragged list": [[1], [2, 3]],
    "words": ["a", "b"],
    "a huge shape": (2, 10**12, 10**12, 4),
    "a negative shape": (2, -1, 6, 4),
    "a shape with a float": (2, 6.0, 6, 4),
    "a dictionary": {"a": 1},
    "a set": {1, 2},
    "an object": object(),
    "a function": len,
    "a generator": (i for i in range(2)),
    "an array of objects": np.empty((2, 6, 6, 4), object),
    "an array of words": np.array(["a", "b"]),
    "a sparse array": sparse.BCOO.fromdense(jnp.eye(3)),
    "a masked array": np.ma.masked_array(np.ones((2, 6, 6, 4), np.float32), mask=True),
    "a shape and dtype": jax.ShapeDtypeStruct((2, 6, 6, 4), jnp.float32),
    "a key": jax.random.key(0),
    "a scalar": np.zeros(()),
    "a row": np.ones(3, np.float32),
    "three axes": jnp.ones((6, 6, 4)),
    "six axes": jnp.ones((1, 1, 2, 6, 6, 4)),
    "integers": jnp.ones((2, 6, 6, 4), jnp.int32),
    "flags": jnp.ones((2, 6, 6, 4), bool),
    "complex numbers": jnp.ones((2, 6, 6, 4), jnp.complex64),
    "half": jnp.ones((2, 6, 6, 4), jnp.float16),
    "no batch": jnp.ones((0, 6, 6, 4)),
    "no rows": jnp.ones((2, 0, 6, 4)),
}

_FLOATS = {
    *("NumPy's float", "a scalar", "a row", "three axes", "six axes"),
    *("half", "no batch", "no rows"),
}
_NUMBERS = {"a float", "a whole float", "NumPy's float"}
_MODES = _NUMBERS | {"NaN", "inf", "-inf", "-1", "0", "10**12", "10**30", "-10**12"}
_OR_ZERO = {"0", "a scalar"}

TAKEN = {
    "array": {"half", "no batch", "no rows", "a row"},
    "floats": _FLOATS,
    "mask or None": {"None", "flags", "integers", "half", "a scalar", "three axes"}
    | {"NumPy's True", "NumPy's float", "NumPy's 10**12"},
    "images": {"half", "no batch", "no rows"},
    "images of numbers": {"half", "no batch", "no rows", "integers", "complex numbers"},
    "pair or None": {"None"},
    "pair from 0 or None": {"None", "0", "a pair of zeros"},
    "padding": {"0", "a pair of zeros", "pairs"},
    "pads": {"pairs"},
    "int": {"10**12", "10**30", "NumPy's 10**12"},
    "odd or None": {"None"},
    "number or array": _NUMBERS | _OR_ZERO | {"-1"},
    "number from 0": _NUMBERS | _OR_ZERO,
    "number or array from 0": _NUMBERS | _OR_ZERO,
    "positive number": _NUMBERS,
    "flag": {"True", "NumPy's True"},
    "padding mode": _MODES | {"a scalar", "NumPy's 10**12"},
    "precision": {"None"},
    "name or None": {"None", "a word"},
    "axis names or None": {"None"},
    "axis groups or None": {"None"},
    "lax padding": {"pairs"},
    "lax steps or None": {"None", "an empty list"},
    "lax layouts or None": {"None"},
    "dtype or None": {"None"},
    "lax's own": set(WRONG),
}
"""For each kind of argument, the values that are right for one, or for some shapes of the rest."""
