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


def test_kernels_of_layers_called_twice_and_of_one_dimension_count_once_or_not():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            twice = linen.Conv(3, (3, 3), name="twice")
            x = twice(twice(x))
            return linen.Conv(2, (3,), name="line")(x.reshape(x.shape[0], -1, 3))

    variables, images = initialized(Net(), (1, 6, 6, 3))
    kernels = convolution_kernels(Net(), variables, images)
    assert list(kernels) == ["twice"] and kernels["twice"].shape == (3, 3, 3, 3)
    kernel = layer_kernels(Net(), variables, images, "twice")
    np.testing.assert_array_equal(kernel, variables["params"]["twice"]["kernel"])


def test_kernels_are_found_by_the_shape_of_the_images_alone():
    variables, _ = initialized(PlainNet(), (1, 8, 8, 3), train=False)
    images = jax.ShapeDtypeStruct((1, 8, 8, 3), np.float32)
    name, kernel = first_layer_kernels(PlainNet(), variables, images)
    assert name == "Block_0/Conv_0" and kernel.shape == (3, 3, 3, 4)


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_color_kernels_of_one_value_are_black(value):
    assert not kernel_pictures(np.full((2, 2, 3, 1), value)).any()


def test_gray_pictures_are_in_the_order_of_output_and_input():
    kernel = np.arange(8.0).reshape(1, 1, 2, 4)
    pictures = kernel_pictures(kernel)[:, 0, 0, 0]
    np.testing.assert_allclose(pictures, np.array([0, 4, 1, 5, 2, 6, 3, 7]) / 7, rtol=1e-6)
