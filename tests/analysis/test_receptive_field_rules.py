"""The dependence of single operations on the image against its definition by perturbed pixels."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnnjax.analysis.cost.receptive_field import Reach, union
from cnnjax.analysis.cost.receptive_field_rules import propagate
from cnnjax.analysis.cost.traces import trace_operations

SHAPE = (1, 6, 4, 2)


class Function(linen.Module):
    """A function of an image as a model without parameters."""

    function: Any

    def __call__(self, x):
        return self.function(x)


def _traced(function, shape=SHAPE):
    """The dependence of a function's result on the rows and the columns of the image."""
    images = jax.ShapeDtypeStruct(shape, jnp.float32)
    return trace_operations(Function(function), {}, images).operations[-1].reaches


def _pixels(reach, index):
    """The pixels that an element may depend on, by the reach."""
    middle = sum(c * i for c, i in zip(reach.coefficients, index, strict=True))
    return float(middle + reach.low), float(middle + reach.high)


def _depends(function, axis, shape=SHAPE):
    """depends[p, ...]: whether an element depends on pixels with index p along an axis."""
    image = jnp.asarray(np.random.default_rng(0).uniform(1, 2, shape), jnp.float32)
    size = shape[axis]
    poison = jnp.where(jnp.eye(size, dtype=bool), jnp.nan, 0.0)
    places = [1] * len(shape)
    places[axis] = size
    return np.stack([np.isnan(function(image + p.reshape(places))) for p in poison])


EXACT = {
    "elementwise": jnp.sin,
    "transpose": lambda x: jnp.transpose(x, (3, 2, 0, 1)),
    "reverse": lambda x: x[:, ::-1, ::-1],
    "slice": lambda x: x[:, 1:6:2, 2:],
    "pad": lambda x: jnp.pad(x, ((0, 0), (2, 1), (1, 0), (0, 0))),
    "sum over rows": lambda x: x.sum(axis=1),
    "maximum over both": lambda x: x.max(axis=(1, 2)),
    "two rows added": lambda x: x[:, :-1] + x[:, 1:],
    "concatenated channels": lambda x: jnp.concatenate([x, x[..., :1]], axis=-1),
    "squeezed": lambda x: jnp.squeeze(x, 0),
    "blocks of rows": lambda x: x.reshape(1, 3, 2, 4, 2).sum(axis=2),
    "windows": lambda x: lax.reduce_window(
        x, 0.0, lax.add, (1, 3, 2, 1), (1, 2, 1, 1), ((0, 0), (1, 1), (0, 0), (0, 0))
    ),
    "product with a matrix": lambda x: x @ jnp.ones((2, 5)),
}


@pytest.mark.parametrize("name", EXACT)
def test_the_interval_is_the_dependence(name):
    function = EXACT[name]
    reaches: Any = _traced(function)
    depends = [_depends(function, axis) for axis in (1, 2)]
    for index in np.ndindex(reaches[0].shape):
        intervals = [_pixels(reach, index) for reach in reaches]
        # What lies in the padding depends on no pixel, whichever its other index.
        inside = all(high >= 0 and low < SHAPE[a + 1] for a, (low, high) in enumerate(intervals))
        for axis, (low, high) in enumerate(intervals):
            pixels = np.flatnonzero(depends[axis][(slice(None), *index)])
            assert len(pixels) > 0 or not inside
            if inside:
                within = max(low, 0), min(high, SHAPE[axis + 1] - 1)
                assert within == (pixels.min(), pixels.max())


WIDENED = {
    "sorted": lambda x: jnp.sort(x, axis=1),
    "cumulative": lambda x: jnp.cumsum(x, axis=2),
    "gathered": lambda x: x[:, jnp.array([0, 5, 2])],
    "reversed and added": lambda x: x + x[:, ::-1],
    "rows times columns": lambda x: jnp.einsum("nijc,nkjc->nikc", x, x),
    "merged": lambda x: x.reshape(1, -1),
    "dynamic slice": lambda x: lax.dynamic_slice_in_dim(x, x[0, 0, 0, 0].astype(int), 2, axis=1),
    "chosen by a condition": lambda x: jnp.where(x > 1.5, x, x[:, ::-1]),
    "concatenated rows": lambda x: jnp.concatenate([x, x], axis=1),
    "kernel of the image": lambda x: lax.conv_general_dilated(
        x, x[:, :3].reshape(3, 4, 2, 1), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    ),
}


@pytest.mark.parametrize("name", WIDENED)
def test_the_interval_contains_the_dependence(name):
    function = WIDENED[name]
    for reach, axis in zip(_traced(function), (1, 2), strict=True):
        depends = _depends(function, axis)
        assert reach is not None
        assert reach.shape == depends.shape[1:]
        for index in np.ndindex(reach.shape):
            low, high = _pixels(reach, index)
            pixels = np.flatnonzero(depends[(slice(None), *index)])
            assert all(low <= p <= high for p in pixels)


def test_constants_do_not_depend_on_the_image():
    assert _traced(lambda x: jnp.ones((1, 3, 3, 1))) == (None, None)
    assert propagate("sin", {}, [None], [(3,)]) == [None]


def test_operations_without_a_rule_depend_on_everything_where_shapes_differ():
    reach = Reach.of_image((6,), 0)
    (same,) = propagate("unknown", {"_shapes": ((6,),)}, [reach], [(6,)])
    (other,) = propagate("unknown", {"_shapes": ((6,),)}, [reach], [(3,)])
    assert same == reach and other is not None
    assert (other.shape, other.stride, other.size) == ((3,), 0, 6)


def test_windows_compose_as_in_the_closed_form():
    """Araujo et al., 2019, equations 1 to 3: r += (k - 1) j, then j *= s, with padding p j."""
    reach, field, jump, padding = Reach.of_image((1, 64), 1), 1, 1, 0
    size = 64
    for kernel, stride, pad in ((7, 2, 3), (3, 2, 1), (5, 1, 2), (1, 3, 0)):
        size = (size + 2 * pad - kernel) // stride + 1
        reach = reach.windowed(1, size, kernel, stride=stride, padding=pad)
        field, padding = field + (kernel - 1) * jump, padding + pad * jump
        jump *= stride
        assert (reach.size, reach.stride, -reach.low) == (field, jump, padding)
        assert reach.shape == (1, size)


@pytest.mark.parametrize("dilation", [1, 2, 5])
def test_dilated_windows_span_their_holes(dilation):
    reach = Reach.of_image((40,), 0).windowed(0, 10, 3, dilation=dilation)
    assert reach.size == 2 * dilation + 1 and reach.stride == 1


def test_elements_set_apart_move_in_fractions():
    reach = Reach.of_image((8,), 0).windowed(0, 15, 1, base_dilation=2)
    assert reach.stride == 1 / 2 and reach.size == 1
    # A window of 3 of them holds at most 2 pixels.
    assert reach.windowed(0, 13, 3).size == 2


def test_two_reversals_are_none():
    reach = Reach.of_image((1, 9), 1).windowed(1, 4, 3, stride=2)
    assert reach.reversed(1).stride == -2
    assert reach.reversed(1).reversed(1) == reach


def test_a_dropped_axis_is_seen_whole():
    reach = Reach.of_image((5, 7), 1)
    assert reach.selected([0], (5,)).size == 7
    assert reach.selected([1, 0, None], (7, 5, 3)).coefficients == (1, 0, 0)
    # A single element that is repeated does not move.
    assert Reach.of_image((1, 7), 0).selected([0, 1], (4, 7)).coefficients == (0, 0)


def test_everywhere_is_the_whole_image():
    reach = Reach.of_image((6, 5), 0).everywhere((2, 2, 2))
    assert (reach.shape, reach.low, reach.high, reach.stride) == ((2, 2, 2), 0, 5, 0)


def test_unions_of_equal_strides_keep_them():
    image = Reach.of_image((9,), 0)
    narrow, wide = image.windowed(0, 9, 1), image.windowed(0, 9, 5, padding=2)
    assert union(narrow, wide) == union(wide, narrow) == wide


def test_axes_that_move_alike_have_no_stride_of_their_own():
    reach: Any = Reach
    assert reach((3, 4), (4, 1), 0, 0).stride is None
