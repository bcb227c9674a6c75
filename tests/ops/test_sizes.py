"""Output sizes and paddings: the formula of the lectures, lax's SAME, and the refusals."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from cnnjax import ops
from cnnjax.ops import checks, sizes


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"),
    [
        (32, 5, 1, 0, 28),  # LeNet-5's first layer
        (227, 11, 4, 0, 55),  # AlexNet's
        (224, 7, 2, 3, 112),  # ResNet's
        (13, 3, 2, 0, 6),
        (112, 3, 2, 1, 56),
        (200, 11, 1, 0, 190),
        (5, 5, 1, 0, 1),
    ],
)
def test_output_size_of_published_layers(size, kernel, stride, padding, expected):
    assert ops.output_size(size, kernel, stride, padding) == expected


@pytest.mark.parametrize("padding", ["SAME", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("size", "kernel"), [(7, 3), (8, 3), (9, 2), (5, 1)])
def test_words_mean_what_lax_means(padding, stride, dilation, size, kernel):
    x, k = jnp.ones((1, size, 1)), jnp.ones((kernel, 1, 1))
    expected = jax.eval_shape(
        lambda: lax.conv_general_dilated(
            x,
            k,
            (stride,),
            padding,
            rhs_dilation=(dilation,),
            dimension_numbers=("NHC", "HIO", "NHC"),
        )
    ).shape[1]
    assert ops.output_size(size, kernel, stride, padding, dilation) == expected
    (low, high), _ = sizes.resolve_padding(
        "test", padding, (size, size), (kernel, kernel), (stride, stride), (dilation, dilation)
    )
    window = (kernel - 1) * dilation + 1
    if padding == "VALID":
        assert (low, high) == (0, 0)
    else:
        assert (low, high) == tuple(lax.padtype_to_pads((size,), (window,), (stride,), padding)[0])


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        (2, ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        (((0, 1), (2, 3)), ((0, 1), (2, 3))),
        ([[0, 1], [2, 3]], ((0, 1), (2, 3))),
        ((1, (2, 3)), ((1, 1), (2, 3))),
    ],
)
def test_numbers_mean_pixels(padding, expected):
    assert sizes.resolve_padding("test", padding, (8, 8), (3, 3)) == expected


@pytest.mark.parametrize(
    "padding", [-1, "FULL", (1, 2, 3), ((1, 2),), 1.5, None, ((0, -1), (0, 0))]
)
def test_bad_padding_is_refused_with_what_was_given(padding):
    with pytest.raises(ValueError, match="pool: padding must be one of 'SAME'"):
        sizes.resolve_padding("pool", padding, (8, 8), (3, 3))


@pytest.mark.parametrize("value", [0, (1, 2, 3), "2", 1.0, (1, 0), None, True])
def test_bad_pair_is_refused(value):
    with pytest.raises(ValueError, match="pool: strides must be an int or a pair"):
        checks.pair("pool", "strides", value)


def test_window_larger_than_the_input_names_both():
    with pytest.raises(
        ValueError, match=r"window \(3, 3\) is larger than the padded input \(2, 2\); enl"
    ):
        sizes.checked_output_size("max_pool", (2, 2), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1))
    with pytest.raises(ValueError, match=r"window of 5 \(kernel 3, dilation 2\) is larger"):
        ops.output_size(4, 3, dilation=2)
    with pytest.raises(ValueError, match="stride must be an int of at least 1, got 0"):
        ops.output_size(4, 3, 0)
