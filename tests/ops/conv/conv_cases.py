"""Configurations shared by the convolution tests: real layers made small, and unusual ones."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.ops import sizes


@dataclasses.dataclass(frozen=True)
class Case:
    """One convolution: shapes, strides, padding, dilation and groups."""

    input_shape: tuple
    kernel_shape: tuple
    strides: tuple = (1, 1)
    padding: Any = "SAME"
    dilation: tuple = (1, 1)
    groups: int = 1

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of `ops.conv2d`."""
        return dict(
            strides=self.strides, padding=self.padding, dilation=self.dilation, groups=self.groups
        )

    @property
    def pads(self) -> Any:
        """The padding in pixels, by lax's rule for the words."""
        if isinstance(self.padding, str):
            windows = [
                (k - 1) * d + 1 for k, d in zip(self.kernel_shape[:2], self.dilation, strict=True)
            ]
            return tuple(
                jax.lax.padtype_to_pads(self.input_shape[1:3], windows, self.strides, self.padding)
            )
        if isinstance(self.padding, int):
            return ((self.padding,) * 2,) * 2
        return self.padding

    @property
    def reference(self) -> dict[str, Any]:
        """The keyword arguments of the defining sums."""
        return dict(
            strides=self.strides, pads=self.pads, dilation=self.dilation, groups=self.groups
        )

    def arrays(self, dtype=jnp.float32, seed=0):
        """Returns x, kernel and an upstream gradient, standard normal."""
        rng = np.random.default_rng(seed)
        rows, columns = sizes.checked_output_size(
            "case",
            self.input_shape[1:3],
            self.kernel_shape[:2],
            self.strides,
            self.pads,
            self.dilation,
        )
        grad_shape = (self.input_shape[0], rows, columns, self.kernel_shape[3])
        return tuple(
            jnp.asarray(rng.standard_normal(s), dtype)
            for s in (self.input_shape, self.kernel_shape, grad_shape)
        )


CASES = {
    "lenet5_conv1": Case((2, 32, 32, 1), (5, 5, 1, 6), padding="VALID"),
    "lenet5_conv2": Case((2, 14, 14, 6), (5, 5, 6, 16), padding="VALID"),
    "alexnet_conv1": Case((1, 51, 51, 3), (11, 11, 3, 8), (4, 4), "VALID"),
    "alexnet_conv2_two_towers": Case((1, 13, 13, 12), (5, 5, 6, 16), padding=2, groups=2),
    "resnet_conv1": Case((2, 32, 32, 3), (7, 7, 3, 8), (2, 2), 3),
    "resnet_3x3": Case((2, 14, 14, 16), (3, 3, 16, 16), padding=1),
    "resnet_3x3_stride_2": Case((2, 14, 14, 8), (3, 3, 8, 16), (2, 2), 1),
    "resnet_shortcut": Case((2, 14, 14, 8), (1, 1, 8, 16), (2, 2), 0),
    "bottleneck_1x1": Case((2, 9, 9, 32), (1, 1, 32, 8), padding=0),
    "small_map": Case((3, 4, 4, 24), (3, 3, 24, 24), padding=1),
    "resnext_groups": Case((2, 8, 8, 32), (3, 3, 4, 32), padding=1, groups=8),
    "resnext_groups_stride_2": Case((2, 9, 9, 32), (3, 3, 4, 64), (2, 2), 1, groups=8),
    "depthwise": Case((2, 8, 8, 12), (3, 3, 1, 12), groups=12),
    "depthwise_stride_2": Case((2, 9, 9, 12), (3, 3, 1, 12), (2, 2), 1, groups=12),
    "depthwise_multiplier": Case((2, 8, 8, 5), (3, 3, 1, 15), groups=5),
    "dilated": Case((2, 12, 12, 4), (3, 3, 4, 6), dilation=(2, 3)),
    "dilated_strided": Case((2, 13, 12, 4), (3, 2, 4, 6), (2, 3), "SAME", (2, 3)),
    "asymmetric": Case((2, 9, 8, 3), (3, 2, 3, 5), (2, 1), ((0, 2), (3, 1))),
    "depthwise_dilated_strided": Case(
        (2, 11, 12, 3), (3, 2, 1, 6), (2, 3), ((1, 2), (0, 2)), (3, 2), 3
    ),
    "same_lower": Case((2, 8, 8, 3), (2, 4, 3, 5), (1, 1), "SAME_LOWER"),
    "stride_beyond_kernel": Case((2, 11, 10, 3), (2, 1, 3, 5), (4, 3), "VALID"),
    "kernel_as_large_as_input": Case((2, 6, 5, 3), (6, 5, 3, 4), padding="VALID"),
    "kernel_larger_than_input": Case((2, 2, 3, 3), (5, 5, 3, 4), padding=2),
    "one_pixel": Case((2, 1, 1, 3), (3, 3, 3, 4), padding=1),
    "rows_never_read": Case((1, 12, 12, 2), (3, 3, 2, 2), (3, 5), "VALID"),
}


def assert_sum_close(actual, expected, terms, magnitude=1.0):
    """Asserts 4 float32 ulps of the sum's size per accumulated √n; half types round once more.

    Args:
        actual: the array under test.
        expected: the float64 reference.
        terms: n, the number of products that each number sums.
        magnitude: the root mean square of one product; the sum's is √n times that.
    """
    dtype = jnp.finfo(actual.dtype)
    ulp = float(min(dtype.eps, jnp.finfo(jnp.float32).eps))
    bound = 4 * ulp * np.sqrt(terms) * np.sqrt(terms) * magnitude
    if actual.dtype.itemsize == 2:
        bound = bound + float(dtype.eps) * np.abs(expected) + float(dtype.smallest_subnormal)
    assert actual.shape == expected.shape
    error = np.abs(np.asarray(actual, np.float64) - expected)
    assert np.all(error <= bound), f"largest error over bound: {np.max(error / bound)}"
