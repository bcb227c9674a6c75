"""Receptive fields against the definition: which outputs a poisoned pixel reaches."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.analysis import summarize
from cnnjax.analysis.cost.receptive_field import Reach, union


class Branches(linen.Module):
    """Branches of other sizes, joined by concatenation and by addition."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(2, (7, 7), strides=2, padding=3)(x)
        x = linen.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))  # pyright: ignore[reportArgumentType]
        narrow = linen.Conv(2, (1, 1))(x)
        wide = linen.Conv(2, (5, 5), padding=2)(x)
        x = jnp.concatenate([narrow, wide, linen.max_pool(x, (3, 3), padding="SAME")], axis=-1)
        return linen.relu(linen.Conv(2, (1, 1))(x) + linen.Conv(2, (3, 3), padding=1)(narrow))


class Dilated(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.Conv(1, (3, 3), kernel_dilation=2, padding="VALID")(x)
        return linen.Conv(1, (2, 2), strides=(3, 2), padding="SAME")(x)


class SlicedAndFlipped(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = jnp.pad(x, ((0, 0), (2, 1), (0, 0), (0, 0)))[:, 1::2, 3:]
        x = linen.Conv(1, (3, 1), padding="VALID")(x)
        return jnp.swapaxes(x, 1, 2)[:, :, ::-1]


class BlocksToChannels(linen.Module):
    @linen.compact
    def __call__(self, x):
        n, h, w, c = x.shape
        x = x.reshape(n, h // 4, 4, w // 4, 4, c).transpose(0, 1, 3, 2, 4, 5)
        return linen.Conv(1, (2, 2), padding="VALID")(x.reshape(n, h // 4, w // 4, 16 * c))


class Upsampled(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.Conv(1, (3, 3), strides=2, padding=1)(x)
        return linen.ConvTranspose(1, (4, 4), strides=(2, 2), padding="SAME")(x)


def _reached(model, size):
    """reached[p, i]: whether output row i depends on input row p, likewise for columns."""
    images = jnp.ones((1, size, size, 1))
    variables = jax.tree.map(jnp.ones_like, model.init(jax.random.key(0), images))
    poison = jnp.where(jnp.eye(size, dtype=bool), jnp.nan, 0.0)
    rows = jax.vmap(lambda p: model.apply(variables, images + p[None, :, None, None]))(poison)
    columns = jax.vmap(lambda p: model.apply(variables, images + p[None, None, :, None]))(poison)
    return (
        np.isnan(rows[:, 0]).any(axis=(2, 3)),
        np.isnan(columns[:, 0]).any(axis=(1, 3)),
    )


@pytest.mark.parametrize(
    ("model", "size"),
    [(Branches(), 48), (Dilated(), 30), (BlocksToChannels(), 24)],
)
def test_field_stride_and_padding_are_those_of_the_definition(model, size):
    row: Any = summarize(model, (size, size, 1)).rows[-1]
    for axis, reached in enumerate(_reached(model, size)):
        for i in range(reached.shape[1]):
            first = i * row.stride[axis] - row.padding[axis]
            expected = {p for p in range(size) if first <= p < first + row.field[axis]}
            within = set(np.flatnonzero(reached[:, i]).tolist())
            # Holes of dilated kernels lie inside of the field.
            assert within <= expected
            assert min(within) == min(expected) and max(within) == max(expected)


def test_slices_pads_and_flips_move_the_field():
    row = summarize(SlicedAndFlipped(), (21, 16, 1)).rows[-1]
    # Rows 1, 3, 5 of the padded image are -1, 1, 3 of the image.
    assert row.field == (5, 1) and row.stride == (2, 1)
    assert row.padding == (1, -3)


def test_transposed_convolution_halves_the_stride():
    model = Upsampled()
    row: Any = summarize(model, (24, 24, 1)).rows[-1]
    assert row.stride == (1, 1)
    reached = _reached(model, 24)[0]
    widest = max(np.ptp(np.flatnonzero(reached[:, i])) + 1 for i in range(4, 20))
    assert widest <= row.field[0] <= widest + 1


def test_three_3x3_see_what_one_7x7_sees_for_27_instead_of_49_channels_squared():
    """Simonyan and Zisserman, 2014, section 2.3."""
    channels = 64

    def stack(sizes):
        return linen.Sequential([linen.Conv(channels, (k, k), use_bias=False) for k in sizes])

    three = summarize(stack([3, 3, 3]), (32, 32, channels))
    one = summarize(stack([7]), (32, 32, channels))
    assert three.rows[-1].field == one.rows[-1].field == (7, 7)
    assert three.parameters == 27 * channels**2
    assert one.parameters == 49 * channels**2


def test_published_fields():
    """Araujo, Norris and Sim, 2019, table 1, for the last convolutional maps."""
    from cnnjax import models

    expected = {"vgg16": ("pool5", 212, 32, 90), "resnet50": ("stage4_block3/add", 427, 32, 213)}
    for name, (layer, field, stride, padding) in expected.items():
        rows = {r.name: r for r in summarize(models.create_model(name), (224, 224, 3)).rows}
        assert rows[layer].field == (field, field)
        assert rows[layer].stride == (stride, stride)
        assert rows[layer].padding == (padding, padding)


def test_merged_axes_keep_a_line_and_lose_a_lattice():
    image = Reach.of_image((1, 6, 4, 3), 1)
    split = image.reshaped((1, 2, 3, 4, 3))
    assert split.coefficients == (0, 3, 1, 0, 0)
    assert split.reshaped((1, 6, 4, 3)) == image
    flat = image.reshaped((1, 72))
    assert flat.stride == 0 and flat.size == 6


def test_union_of_unequal_strides_sees_both_whole():
    one = Reach.of_image((1, 8), 1)
    other = one.windowed(1, 8, 1, base_dilation=2)
    assert union(one, other).size == 8
