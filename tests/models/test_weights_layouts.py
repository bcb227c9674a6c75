"""Layouts against the sums that define the layers in PyTorch."""

import numpy as np
import pytest

from cnnjax.models.weights.layouts import CONV, DENSE, dense_as_conv, flattened
from tests.helpers import reference

GENERATOR = np.random.default_rng(0)


def test_a_convolutions_kernel_gives_the_same_maps():
    images = GENERATOR.normal(size=(2, 3, 7, 8))  # channels before height and width
    weight = GENERATOR.normal(size=(5, 3, 3, 2))  # output, input, height, width
    expected = np.zeros((2, 5, 5, 7))
    for row in range(5):
        for column in range(7):
            window = images[:, None, :, row : row + 3, column : column + 2]
            expected[:, :, row, column] = (window * weight).sum((2, 3, 4))
    maps = reference.conv2d(images.transpose(0, 2, 3, 1), CONV.to_ours(weight))
    np.testing.assert_allclose(maps.transpose(0, 3, 1, 2), expected, rtol=1e-12)


@pytest.mark.parametrize("as_conv", [False, True])
def test_a_dense_layer_on_flattened_maps_gives_the_same_values(as_conv):
    maps = GENERATOR.normal(size=(2, 4, 3, 5))
    weight = GENERATOR.normal(size=(6, 4, 3, 5))
    expected = np.einsum("nchw,ochw->no", maps, weight)
    if as_conv:
        kernel = dense_as_conv(3, 5).to_ours(weight)
    else:
        kernel = flattened(3, 5).to_ours(weight.reshape(6, -1))
    ours = maps.transpose(0, 2, 3, 1).reshape(2, -1) @ kernel
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("layout", "theirs", "ours"),
    [
        (CONV, (5, 2, 3, 4), (3, 4, 2, 5)),
        (DENSE, (5, 7), (7, 5)),
        (flattened(2, 3), (5, 24), (24, 5)),
        (dense_as_conv(2, 3), (5, 4, 2, 3), (24, 5)),
    ],
)
def test_the_way_back_undoes_the_way_here(layout, theirs, ours):
    weight = GENERATOR.normal(size=theirs)
    kernel = layout.to_ours(weight)
    assert kernel.shape == ours
    assert layout.their_shape(ours) == theirs
    np.testing.assert_array_equal(layout.to_theirs(kernel), weight)
