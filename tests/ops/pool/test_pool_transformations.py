"""Pooling and normalization under JAX's transformations, against the same with lax's rules."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from cnnjax import ops


def _batch_norm(x, backward="ours"):
    return ops.batch_norm(x, jnp.arange(1.0, 4.0), jnp.ones(3), backward=backward)[0]


OPS = {
    "max_pool": partial(ops.max_pool, window=3, strides=2, padding=1),
    "avg_pool": partial(ops.avg_pool, window=3, strides=2, padding=1),
    "local_response_norm": partial(ops.local_response_norm, alpha=0.1, size=3),
    "batch_norm": _batch_norm,
}


@pytest.fixture(scope="module")
def images():
    return jnp.asarray(np.random.default_rng(0).normal(size=(8, 5, 5, 3)), jnp.float32)


def _gradient(name, backward="ours"):
    return jax.grad(lambda x: jnp.sum(OPS[name](x, backward=backward) ** 3))


def _close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


PER_IMAGE = [name for name in OPS if name != "batch_norm"]


@pytest.mark.parametrize("name", PER_IMAGE)
def test_each_image_separately_in_every_transformation(name, images):
    expected = jax.jit(_gradient(name, "native"))(images)
    grad = _gradient(name)
    _close(jax.jit(jax.vmap(lambda x: grad(x[None])[0]))(images), expected)
    _close(jax.pmap(grad)(images[:, None])[:, 0], expected)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    _close(jax.jit(grad)(jax.device_put(images, NamedSharding(mesh, P("data")))), expected)
    for check in (True, False):
        split = partial(
            jax.shard_map, mesh=mesh, in_specs=P("data"), out_specs=P("data"), check_vma=check
        )
        _close(jax.jit(split(grad))(images), expected)
        outside = jax.grad(lambda x, split=split: jnp.sum(split(OPS[name])(x) ** 3))
        _close(jax.jit(outside)(images), expected)


@pytest.mark.parametrize("check", [True, False])
def test_batch_norm_over_a_mesh_is_batch_norm_of_the_whole_batch(images, check):
    scale, bias = jnp.arange(1.0, 4.0), jnp.ones(3)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))

    def total(x, scale, bias, axis_name):
        return ops.batch_norm(x, scale, bias, axis_name=axis_name)[0]

    split = jax.shard_map(
        partial(total, axis_name="data"),
        mesh=mesh,
        in_specs=(P("data"), P(), P()),
        out_specs=P("data"),
        check_vma=check,
    )
    grads = lambda f: jax.jit(  # noqa: E731
        jax.grad(lambda *a: jnp.sum(f(*a) ** 3), (0, 1, 2))
    )(images, scale, bias)
    for found, expected in zip(grads(split), grads(partial(total, axis_name=None)), strict=True):
        _close(found, expected)


@pytest.mark.parametrize("name", OPS)
def test_checkpoint_export_and_the_second_derivative(name, images):
    grad, native = _gradient(name), _gradient(name, "native")
    expected = jax.jit(native)(images)
    again = jax.checkpoint(lambda x: jnp.sum(OPS[name](x) ** 3))
    _close(jax.jit(jax.grad(again))(images), expected)
    (batch,) = jax.export.symbolic_shape("batch")
    shape = jax.ShapeDtypeStruct((batch, 5, 5, 3), jnp.float32)
    exported = jax.export.export(jax.jit(grad), platforms=["cpu", "cuda"])(shape)
    _close(exported.call(images), expected)
    # The sine of numbers in the hundreds would show their rounding rather than the rule.
    largest = jnp.abs(expected).max()
    second = lambda f: jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(f(x) / largest))))  # noqa: E731
    wanted = np.asarray(second(native)(images))
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(second(grad)(images), wanted, rtol=0, atol=1e-4 * scale)
