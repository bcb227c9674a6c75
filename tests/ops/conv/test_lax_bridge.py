"""ops.conv_general_dilated: lax's signature, our rules for NHWC, everything else lax's own."""

import inspect
from typing import Any

import flax.linen
import flax.nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnnjax import ops

NHWC = ("NHWC", "HWIO", "NHWC")


def _normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def _is_ours(*args, **options):
    return "name=conv2d" in str(
        jax.make_jaxpr(lambda x, k: ops.conv_general_dilated(x, k, *args[2:], **options))(*args[:2])
    )


def test_signature_is_laxs():
    ours = inspect.signature(ops.conv_general_dilated).parameters
    lax_ = inspect.signature(lax.conv_general_dilated).parameters
    assert list(ours) == list(lax_)
    assert [p.default for p in ours.values()] == [p.default for p in lax_.values()]


@pytest.mark.parametrize(
    "options",
    [
        dict(window_strides=(1, 1), padding="SAME"),
        dict(window_strides=[2, 1], padding=[(1, 0), (2, 2)], rhs_dilation=[1, 2]),
        dict(window_strides=(1, 1), padding="valid", lhs_dilation=(1, 1), precision="highest"),
        dict(window_strides=(1, 1), padding="SAME", preferred_element_type=jnp.float32),
    ],
)
def test_nhwc_runs_on_our_rules_and_equals_lax(options):
    x, k = _normal(0, 2, 7, 8, 4), _normal(1, 3, 3, 4, 6)
    assert _is_ours(x, k, dimension_numbers=NHWC, **options)
    y, vjp = jax.vjp(
        lambda x, k: ops.conv_general_dilated(x, k, dimension_numbers=NHWC, **options), x, k
    )
    expected, lax_vjp = jax.vjp(
        lambda x, k: lax.conv_general_dilated(x, k, dimension_numbers=NHWC, **options), x, k
    )
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    for actual, wanted in zip(vjp(y), lax_vjp(y), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("x", "k", "options"),
    [
        ((2, 7, 4), (3, 4, 6), dict(dimension_numbers=("NHC", "HIO", "NHC"), window_strides=(1,))),
        ((2, 4, 7, 7), (6, 4, 3, 3), dict(dimension_numbers=None)),
        ((2, 7, 7, 4), (3, 3, 4, 6), dict(lhs_dilation=(2, 1), padding=((1, 1), (1, 1)))),
        (
            (2, 7, 7, 4),
            (3, 3, 4, 6),
            dict(lhs_dilation=np.array([2, 1]), padding=np.ones((2, 2), int)),
        ),
        ((2, 7, 7, 4), (3, 3, 4, 6), dict(batch_group_count=2)),
        ((2, 7, 7, 4), (3, 3, 4, 6), dict(padding=((-1, 0), (0, 0)))),
        ((2, 2, 2, 4), (3, 3, 4, 6), dict(padding="VALID")),
    ],
    ids=[
        "1-D",
        "NCHW",
        "lhs_dilation",
        "NumPy",
        "batch groups",
        "negative padding",
        "empty output",
    ],
)
def test_everything_else_is_lax_unchanged(x, k, options):
    options = dict(window_strides=(1, 1), padding="SAME", dimension_numbers=NHWC) | options
    x, k = _normal(0, *x), _normal(1, *k)
    assert not _is_ours(x, k, **options)
    np.testing.assert_array_equal(
        ops.conv_general_dilated(x, k, **options), lax.conv_general_dilated(x, k, **options)
    )


def test_integers_and_mixed_dtypes_are_laxs():
    x, k = jnp.ones((1, 4, 4, 2), jnp.int32), jnp.ones((3, 3, 2, 2), jnp.int32)
    assert not _is_ours(x, k, (1, 1), "SAME", dimension_numbers=NHWC)
    with pytest.raises(TypeError, match="same dtypes"):
        ops.conv_general_dilated(x, k.astype(jnp.float32), (1, 1), "SAME", dimension_numbers=NHWC)
    with pytest.raises(ValueError, match="feature_group_count"):
        ops.conv_general_dilated(
            _normal(0, 1, 4, 4, 2), _normal(1, 3, 3, 3, 2), (1, 1), "SAME", dimension_numbers=NHWC
        )


def test_errors_of_lax_are_quoted_with_the_arguments():
    x, k = _normal(0, 1, 4, 4, 2), _normal(1, 3, 3, 2, 2)
    with pytest.raises(
        ValueError, match=r"^conv_general_dilated: lax refuses .*batch_group_count=3"
    ):
        ops.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=NHWC, batch_group_count=3)


def test_drops_into_flax_linen_and_nnx():
    x = _normal(0, 2, 8, 8, 4)
    cases: list[dict[str, Any]] = [
        dict(strides=2),
        dict(feature_group_count=4),
        dict(kernel_dilation=2),
    ]
    for options in cases:
        plain = flax.linen.Conv(8, (3, 3), **options)
        ours = flax.linen.Conv(8, (3, 3), conv_general_dilated=ops.conv_general_dilated, **options)
        variables = plain.init(jax.random.key(0), x)

        def loss(variables, module):
            return jnp.sum(jnp.sin(module.apply(variables, x)))

        expected, actual = (jax.grad(loss)(variables, module) for module in (plain, ours))
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), actual, expected
        )
        nnx_plain = flax.nnx.Conv(4, 8, (3, 3), rngs=flax.nnx.Rngs(0), **options)
        nnx_ours = flax.nnx.Conv(
            4, 8, (3, 3), conv_general_dilated=ops.conv_general_dilated, rngs=flax.nnx.Rngs(0),
            **options,
        )  # fmt: skip
        np.testing.assert_allclose(nnx_ours(x), nnx_plain(x), rtol=1e-4, atol=1e-5)
