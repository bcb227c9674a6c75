"""ops.conv_general_dilated: lax's signature, our rules in two dimensions, else lax's own."""

import inspect
import re
from functools import partial
from typing import Any

import flax.linen
import flax.nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from cnnjax import ops

NHWC = ("NHWC", "HWIO", "NHWC")


def _normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


LAYOUTS = [NHWC, None, ("NCHW", "HWIO", "NCHW"), ("CHWN", "IHWO", "HWNC"), ("NHWC", "OIHW", "NCHW")]


def _laid_out(numbers, x, k):
    """Returns NHWC images and an HWIO kernel with their axes in other places."""
    lhs, rhs, _ = numbers or ("NCHW", "OIHW", "NCHW")
    x = jnp.transpose(x, ["NHWC".index(axis) for axis in lhs])
    return x, jnp.transpose(k, ["HWIO".index(axis) for axis in rhs])


def _is_ours(*args, **options):
    return "batch_axis=" in str(
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


@pytest.mark.slow
@pytest.mark.parametrize("numbers", LAYOUTS, ids=str)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_every_layout_runs_on_our_rules_and_equals_lax(numbers, groups):
    _check_layout(numbers, groups, second_order=True)


def test_torchs_layout_runs_on_our_rules_and_equals_lax():
    _check_layout(None, 2, second_order=False)


def _check_layout(numbers, groups, second_order):
    x, k = _laid_out(numbers, _normal(0, 2, 7, 6, 4), _normal(1, 3, 2, 4 // groups, 8))
    options = dict(padding="SAME", dimension_numbers=numbers, feature_group_count=groups)
    assert _is_ours(x, k, (2, 1), **options)

    def gradients(convolve):
        def loss(x, k):
            return jnp.sum(jnp.sin(convolve(x, k, (2, 1), **options)))

        def second(x, k):
            return sum(jnp.sum(jnp.cos(g)) for g in jax.grad(loss, (0, 1))(x, k))

        # The gradients' own gradients transpose each of the three maps.
        return jax.jit(jax.value_and_grad(second if second_order else loss, (0, 1)))(x, k)

    functions = (ops.conv_general_dilated, lax.conv_general_dilated)
    actual, expected = (jax.tree.leaves(gradients(f)) for f in functions)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("numbers", [NHWC, None], ids=str)
def test_other_platforms_get_laxs_form_in_the_layout_that_is_given(numbers):
    x, k = _laid_out(numbers, _normal(0, 2, 7, 7, 4), _normal(1, 3, 3, 2, 6))

    def program(convolve):
        def loss(x, k):
            y = convolve(x, k, (2, 2), "SAME", dimension_numbers=numbers, feature_group_count=2)
            return jnp.sum(y**2)

        exported = jax.export.export(jax.jit(jax.grad(loss, (0, 1))), platforms=["tpu"])(x, k)
        text = exported.mlir_module()
        layouts = sorted(re.findall(r"stablehlo.convolution.*?dim_numbers = (.*?), window", text))
        return layouts, len(re.findall("= stablehlo.transpose", text))

    assert program(ops.conv_general_dilated) == program(lax.conv_general_dilated)


def test_forward_mode_equals_lax():
    x, k = _normal(0, 1, 2, 4, 4), _normal(1, 2, 2, 3, 3)

    def derivative(convolve):
        return jax.jit(
            lambda x, k: jax.jvp(lambda x, k: convolve(x, k, (1, 1), "SAME"), (x, k), (x + 1, k))
        )(x, k)

    actual, expected = map(derivative, (ops.conv_general_dilated, lax.conv_general_dilated))
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [NHWC, None], ids=str)
def test_forward_mode_and_its_mixtures_equal_lax(numbers):
    x, k = _laid_out(numbers, _normal(0, 1, 4, 4, 2), _normal(1, 3, 3, 2, 2))

    def derivatives(convolve):
        def loss(x, k):
            y = convolve(x, k, (1, 1), "SAME", dimension_numbers=numbers)
            return jnp.sum(jnp.sin(y))

        return (
            jax.jvp(loss, (x, k), (x, k)),
            jax.linearize(lambda k: jax.grad(loss)(x, k), k)[1](k),
            jax.hessian(loss, argnums=1)(x, k),
            jax.jacrev(jax.jacfwd(loss, argnums=1))(x, k),
        )

    actual, expected = map(derivatives, (ops.conv_general_dilated, lax.conv_general_dilated))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), actual, expected
    )


def _loss(images, k, convolve):
    """The loss of a network that is written for one image, as Equinox's are."""
    y = jax.vmap(lambda x: convolve(x[None], k, (1, 1), "SAME")[0])(images)
    return jnp.sum(jnp.sin(y))


def test_vmap_makes_a_batch_and_not_a_gradient_for_each_example():
    images, k = _normal(0, 5, 4, 7, 7), _normal(1, 6, 4, 3, 3)
    actual, expected = (
        jax.jit(partial(jax.grad(_loss, (0, 1)), convolve=f))(images, k)
        for f in (ops.conv_general_dilated, lax.conv_general_dilated)
    )
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    program = jax.make_jaxpr(lambda x, k: jax.grad(_loss, (0, 1))(x, k, ops.conv_general_dilated))
    # One gradient of a kernel of 6 x 4 x 3 x 3; none with an axis of examples before it.
    assert "[5,6,4,3,3]" not in str(program(images, k))


@pytest.mark.slow
def test_gradients_of_each_example_and_mapped_kernels_equal_lax():
    images, kernels = _normal(0, 3, 2, 4, 7, 7), _normal(1, 3, 6, 4, 3, 3)

    def derivatives(convolve):
        def loss(x, k):
            return jnp.sum(jnp.sin(convolve(x, k, (1, 1), "SAME")))

        return (
            jax.vmap(jax.grad(loss, (0, 1)), (0, None))(images, kernels[0]),
            jax.vmap(jax.grad(loss, (0, 1)))(images, kernels),
            jax.vmap(jax.grad(loss, (0, 1)), (None, 0))(images[0], kernels),
            # The axis of examples is neither first nor beside the batch.
            jax.vmap(loss, (4, None))(jnp.moveaxis(images, 0, 4), kernels[0]),
        )

    actual, expected = map(derivatives, (ops.conv_general_dilated, lax.conv_general_dilated))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3), actual, expected
    )


@pytest.mark.slow
def test_replicated_kernels_get_summed_gradients_under_shard_map():
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    images, k = _normal(0, 8, 4, 7, 7), _normal(1, 6, 4, 3, 3)

    def loss(images, k):
        y = ops.conv_general_dilated(images, k, (1, 1), "SAME")
        return lax.psum(jnp.sum(jnp.sin(y)), "data")

    spread = jax.shard_map(loss, mesh=mesh, in_specs=(P("data"), P()), out_specs=P())
    actual = jax.jit(jax.grad(spread, (0, 1)))(images, k)
    expected = jax.grad(
        lambda x, k: jnp.sum(jnp.sin(lax.conv_general_dilated(x, k, (1, 1), "SAME"))), (0, 1)
    )(images, k)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("x", "k", "options"),
    [
        ((2, 7, 4), (3, 4, 6), dict(dimension_numbers=("NHC", "HIO", "NHC"), window_strides=(1,))),
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


@pytest.mark.parametrize(
    "options", [dict(strides=2), dict(feature_group_count=4), dict(kernel_dilation=2)], ids=str
)
def test_drops_into_flax_linen_and_nnx(options: dict[str, Any]):
    x = _normal(0, 2, 8, 8, 4)
    plain = flax.linen.Conv(8, (3, 3), **options)
    ours = plain.clone(conv_general_dilated=ops.conv_general_dilated)
    variables = jax.jit(plain.init)(jax.random.key(0), x)

    def gradients(module):
        return jax.jit(jax.grad(lambda v: jnp.sum(jnp.sin(module.apply(v, x)))))(variables)

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
        gradients(ours),
        gradients(plain),
    )
    rngs = flax.nnx.Rngs(0)
    nnx = flax.nnx.Conv(
        4, 8, (3, 3), conv_general_dilated=ops.conv_general_dilated, rngs=rngs, **options
    )
    assert "batch_axis=" in str(jax.make_jaxpr(nnx)(x))
