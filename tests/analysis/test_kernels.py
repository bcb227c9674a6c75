import flax.linen as linen
import jax
import numpy as np
import pytest

from cnnjax.analysis import convolution_kernels, first_layer_kernels, kernel_pictures, layer_kernels
from tests.analysis.nets import PlainNet, initialized


def test_kernels_come_in_the_order_of_use():
    class Backwards(linen.Module):
        def setup(self):
            self.a = linen.Conv(2, (3, 3))
            self.b = linen.Conv(3, (5, 5))

        def __call__(self, x):
            return self.a(self.b(x))

    model = Backwards()
    variables, images = initialized(model, (1, 8, 8, 1))
    assert list(convolution_kernels(model, variables, images)) == ["b", "a"]
    name, kernel = first_layer_kernels(model, variables, images)
    assert name == "b"
    np.testing.assert_array_equal(kernel, variables["params"]["b"]["kernel"])


def test_unknown_layers_and_nets_without_convolutions_are_refused():
    model = PlainNet()
    variables, images = initialized(model, (1, 8, 8, 3), train=False)
    with pytest.raises(KeyError, match=r"did you mean .*Block_0/Conv_0"):
        layer_kernels(model, variables, images, "Block_0/Conv")
    dense = linen.Dense(3)
    variables = dense.init(jax.random.key(0), images)
    with pytest.raises(ValueError, match="has no convolution"):
        first_layer_kernels(dense, variables, images)


def test_color_kernels_fill_the_range_and_gray_ones_keep_zero():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32)
    color = kernel_pictures(kernel)
    assert color.shape == (4, 3, 3, 3)
    np.testing.assert_allclose(color.min(axis=(1, 2, 3)), 0)
    np.testing.assert_allclose(color.max(axis=(1, 2, 3)), 1)
    gray = kernel_pictures(kernel[:, :, :2])
    assert gray.shape == (8, 3, 3, 1)
    # Pictures of one output channel stand together; 3 is the pair (output 1, input 1).
    np.testing.assert_allclose(
        gray[3, ..., 0], kernel[:, :, 1, 1] / np.abs(kernel[:, :, :2]).max(), rtol=1e-6
    )
    assert not kernel_pictures(np.zeros((2, 2, 1, 1))).any()
    with pytest.raises(ValueError, match="expected four dimensions"):
        kernel_pictures(np.zeros((3, 3)))
