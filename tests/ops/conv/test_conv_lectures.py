"""The lectures' own examples of convolution, each as it is taught."""

import jax.numpy as jnp
import numpy as np

from cnnjax import ops


def _image(rows):
    return jnp.asarray(rows, jnp.float32)[None, :, :, None]


def _kernel(rows):
    return jnp.asarray(rows, jnp.float32)[:, :, None, None]


def test_padding_two_on_the_right_and_below_keeps_the_size_under_a_3x3_kernel():
    x = np.arange(16.0).reshape(4, 4)
    y = ops.conv2d(_image(x), _kernel(np.ones((3, 3))), padding=((0, 2), (0, 2)))
    padded = np.zeros((6, 6))
    padded[:4, :4] = x
    expected = [[padded[r : r + 3, c : c + 3].sum() for c in range(4)] for r in range(4)]
    np.testing.assert_array_equal(y[0, :, :, 0], expected)


def test_200x200_with_96_kernels_of_11x11():
    x, k = jnp.ones((1, 200, 200, 3)), jnp.ones((11, 11, 3, 96))
    y = ops.conv2d(x, k, padding="VALID")
    assert y.shape == (1, 190, 190, 96)
    np.testing.assert_array_equal(y, 11 * 11 * 3)
    assert ops.output_size(200, 11) == (200 - 11 + 2 * 0) // 1 + 1 == 190


def test_five_element_moving_average_is_a_one_dimensional_convolution():
    signal = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 1.0, 0.0, 3.0])
    y = ops.conv2d(_image(signal[None]), _kernel(np.full((1, 5), 0.2)), padding="VALID")
    expected = np.convolve(signal, np.full(5, 0.2), "valid")
    np.testing.assert_allclose(y[0, 0, :, 0], expected, rtol=1e-6)


def test_edge_kernel_finds_the_vertical_edge():
    x = np.zeros((5, 6))
    x[:, 3:] = 10.0
    y = ops.conv2d(_image(x), _kernel([[1, 0, -1], [2, 0, -2], [1, 0, -1]]), padding="VALID")
    np.testing.assert_array_equal(y[0, :, :, 0], [[0, -40, -40, 0]] * 3)
    # A true convolution mirrors the kernel, which changes this one's sign.
    flipped = ops.convolve2d(
        _image(x), _kernel([[1, 0, -1], [2, 0, -2], [1, 0, -1]]), padding="VALID"
    )
    np.testing.assert_array_equal(flipped, -y)


def test_blur_of_ninths_is_the_mean_of_the_neighborhood():
    x = np.arange(25.0).reshape(5, 5) ** 2
    y = ops.conv2d(_image(x), _kernel(np.full((3, 3), 1 / 9)), padding="VALID")
    expected = [[x[r : r + 3, c : c + 3].mean() for c in range(3)] for r in range(3)]
    np.testing.assert_allclose(y[0, :, :, 0], expected, rtol=1e-5)
