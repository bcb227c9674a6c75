"""conv2d under jit, vmap, checkpoint, pmap, sharding, shard_map, export and higher derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from cnnjax import ops
from tests.helpers.programs import quickly
from tests.ops.conv.conv_cases import CASES

# One case for each formulation that the CPU may choose.
NAMES = ("resnet_3x3", "bottleneck_1x1", "depthwise_stride_2", "resnext_groups", "dilated_strided")


def _lax(case, x, k):
    return lax.conv_general_dilated(
        x,
        k,
        case.strides,
        case.pads,
        rhs_dilation=case.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=case.groups,
    )


def _losses(case, weights):
    def ours(x, k):
        return jnp.sum(weights * jnp.tanh(ops.conv2d(x, k, **case.options) / 8))

    def plain(x, k):
        return jnp.sum(weights * jnp.tanh(_lax(case, x, k) / 8))

    return ours, plain


def _assert_same(actual, expected):
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        scale = float(jnp.max(jnp.abs(e)))
        np.testing.assert_allclose(a, e, rtol=1e-4, atol=2e-6 * max(scale, 1.0))


@pytest.mark.parametrize("name", NAMES)
def test_jit_checkpoint_and_scan(name):
    case = CASES[name]
    x, k, g = case.arrays()
    ours, plain = _losses(case, g)
    expected = quickly(jax.grad(plain, (0, 1)))(x, k)
    _assert_same(quickly(jax.grad(ours, (0, 1)))(x, k), expected)
    _assert_same(quickly(jax.grad(jax.checkpoint(ours), (0, 1)))(x, k), expected)

    def scanned(x, k):
        return lax.scan(lambda total, scale: (total + ours(x * scale, k), None), 0.0, jnp.ones(3))[
            0
        ]

    _assert_same(quickly(jax.grad(scanned, (0, 1)))(x, k), jax.tree.map(lambda a: 3 * a, expected))


@pytest.mark.parametrize("name", NAMES)
def test_vmap_over_images_over_kernels_and_of_grad(name):
    case = CASES[name]
    x, k, g = case.arrays()
    ours, plain = _losses(case, g)
    xs, ks = jnp.stack([x, 2 * x, -x]), jnp.stack([k, -k, 0.5 * k])
    for axes, args in (((0, None), (xs, k)), ((None, 0), (x, ks)), ((0, 0), (xs, ks))):
        actual = quickly(jax.vmap(jax.grad(ours, (0, 1)), axes))(*args)
        _assert_same(actual, quickly(jax.vmap(jax.grad(plain, (0, 1)), axes))(*args))


@pytest.mark.parametrize("name", ["resnet_3x3_stride_2", "depthwise_stride_2", "resnext_groups"])
def test_grad_of_grad_and_third_order(name):
    case = CASES[name]
    x, k, g = case.arrays()
    ours, plain = _losses(case, g)

    def second(loss):
        def squared(x, k):
            dx, dk = jax.grad(loss, (0, 1))(x, k)
            return jnp.sum(dx**2) / dx.size + jnp.sum(dk**2) / dk.size

        return jax.grad(squared, (0, 1))

    def third(loss):
        def squared(x, k):
            return sum(jnp.sum(d**2) / d.size for d in second(loss)(x, k))

        return jax.grad(squared, (0, 1))

    _assert_same(quickly(second(ours))(x, k), quickly(second(plain))(x, k))
    if name == "resnet_3x3_stride_2":
        _assert_same(quickly(third(ours))(x, k), quickly(third(plain))(x, k))


def test_grad_of_vmap_adds_up_over_what_is_mapped():
    case = CASES["resnet_3x3_stride_2"]
    x, k, g = case.arrays()
    ours, plain = _losses(case, g[:1])
    mapped = quickly(jax.grad(lambda k: jax.vmap(ours, (0, None))(x[:, None], k).sum()))(k)
    one = quickly(jax.grad(plain, 1))
    _assert_same(mapped, sum(one(image[None], k) for image in x))


def test_every_rule_that_runs_is_ours():
    case = CASES["resnet_3x3_stride_2"]
    x, k, g = case.arrays()

    def backward(x, k, g):
        return jax.vjp(lambda x, k: ops.conv2d(x, k, **case.options), x, k)[1](g)

    forward = str(jax.make_jaxpr(lambda x, k: ops.conv2d(x, k, **case.options))(x, k))
    assert "name=conv2d\n" in forward and "custom_vjp_call" in forward
    text = str(jax.make_jaxpr(backward)(x, k, g))
    assert "name=conv2d_input_grad\n" in text
    assert "name=conv2d_kernel_grad\n" in text


def test_pmap_is_one_device():
    case = CASES["resnext_groups"]
    x, k, g = case.arrays()
    _, plain = _losses(case, g)

    def step(x, k, g):
        ours, _ = _losses(case, g)
        loss, dk = jax.value_and_grad(ours, 1)(x, k)
        return lax.psum(loss, "i"), lax.psum(dk, "i")

    parallel = jax.pmap(step, "i", in_axes=(0, None, 0), devices=jax.devices()[:2])
    loss, dk = parallel(x[:, None], k, g[:, None])
    _assert_same((loss[0], dk[0]), jax.value_and_grad(plain, 1)(x, k))


@pytest.mark.parametrize("name", ["resnet_3x3", "depthwise_stride_2", "resnext_groups"])
@pytest.mark.parametrize("spec", [P("data"), P("data", None, None, "model")], ids=str)
def test_sharded_jit_is_one_device(name, spec):
    case = CASES[name]
    mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    x, k, g = case.arrays()
    ours, plain = _losses(case, g)
    x_sharded = jax.device_put(x, NamedSharding(mesh, spec))
    k_everywhere = jax.device_put(k, NamedSharding(mesh, P()))
    _assert_same(
        quickly(jax.value_and_grad(ours, (0, 1)))(x_sharded, k_everywhere),
        quickly(jax.value_and_grad(plain, (0, 1)))(x, k),
    )


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("name", ["resnet_3x3", "depthwise_stride_2", "resnext_groups"])
def test_shard_map_equals_the_same_program_with_lax(name, inside, check_vma):
    case = CASES[name]
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    x, k, g = case.arrays()

    def program(conv):
        def loss(x, k, g):
            return lax.psum(jnp.sum(g * jnp.tanh(conv(x, k) / 8)), "data")

        def local_grad(x, k, g):
            local = jax.grad(lambda k: jnp.sum(g * jnp.tanh(conv(x, k) / 8)))(k)
            return local if check_vma else lax.psum(local, "data")

        def shard(f):
            return jax.shard_map(
                f,
                mesh=mesh,
                in_specs=(P("data"), P(), P("data")),
                out_specs=P(),
                check_vma=check_vma,
            )

        if inside:
            return quickly(shard(local_grad))
        return quickly(jax.grad(shard(loss), (0, 1)))

    _assert_same(
        program(lambda x, k: ops.conv2d(x, k, **case.options))(x, k, g),
        program(lambda x, k: _lax(case, x, k))(x, k, g),
    )


@pytest.mark.parametrize("name", ["resnet_3x3", "depthwise_stride_2", "resnext_groups"])
def test_export_with_a_symbolic_batch(name):
    case = CASES[name]
    x, k, _ = case.arrays()
    (batch,) = jax.export.symbolic_shape("batch")

    def loss(x, k):
        return jnp.sum(jnp.tanh(ops.conv2d(x, k, **case.options) / 8))

    gradient = quickly(jax.grad(loss, (0, 1)))
    for platforms in (("cpu",), ("cpu", "cuda", "tpu")):
        exported = jax.export.export(jax.jit(jax.grad(loss, (0, 1))), platforms=platforms)(
            jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype), k
        )
        for images in (x, jnp.concatenate([x, x, x])):
            _assert_same(exported.call(images, k), gradient(images, k))


def test_forward_mode_with_native_backward():
    case = CASES["dilated_strided"]
    x, k, _ = case.arrays()
    u, v, _ = case.arrays(seed=1)
    native = jax.jvp(
        lambda x, k: ops.conv2d(x, k, **case.options, backward="native"), (x, k), (u, v)
    )
    _assert_same(native, jax.jvp(lambda x, k: _lax(case, x, k), (x, k), (u, v)))
    small = jax.jacfwd(lambda k: ops.conv2d(x, k, **case.options, backward="native"))(k)
    assert small.shape == (*native[0].shape, *k.shape)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_forward_mode_of_our_rules_advises_native(wrap):
    case = CASES["dilated_strided"]
    x, k, _ = case.arrays()
    function = wrap(lambda x: ops.conv2d(x, k, **case.options))
    with pytest.raises(TypeError, match=r'for forward mode .* pass backward="native"'):
        jax.block_until_ready(jax.jvp(function, (x,), (x,)))
    with pytest.raises(TypeError, match='pass backward="native"'):
        jax.block_until_ready(jax.jacfwd(function)(x))
