"""Every op that `make_op` made, found in the package, under JAX's transformations."""

import dataclasses
import importlib
import pkgutil
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

import cnnjax.ops
from cnnjax.ops import rules
from cnnjax.ops.conv.local import LocalSpec
from cnnjax.ops.conv.spec import parse
from cnnjax.ops.norm.local_response import _Constants
from cnnjax.ops.pool.window import pool_window
from tests.helpers.programs import quickly


@dataclasses.dataclass(frozen=True)
class Example:
    """Operands by shape, settings, and how the op is cut over a batch of 4.

    Attributes:
        shapes: of the operands; "places" for the places of maxima, "mask" for flags of pixels.
        settings: of the op.
        cut: for each operand, whether its first axis is the batch.
        sharded: settings that differ where the batch is cut over the axis "data".
        sums: whether the result is a sum over the batch.
    """

    shapes: tuple
    settings: dict
    cut: tuple
    sharded: dict = dataclasses.field(default_factory=dict)
    sums: bool = False


FIXED = ("places", "mask")
IMAGES, KERNEL = (4, 6, 6, 3), (3, 3, 3, 5)
LOCAL = LocalSpec((3, 2), (2, 1), ((1, 0), (0, 1)), (1, 2))
SPEC = parse("test", IMAGES, KERNEL, strides=1, padding="SAME", dilation=1, groups=1)


def _windows(op):
    x = jnp.zeros(IMAGES)
    return {"where": pool_window(op, x, 3, 2, 1, 1, False)}


EXAMPLES = {
    "add_bias": Example((IMAGES, (3,)), {}, (True, False)),
    "batch_norm": Example(
        (IMAGES, (3,), (3,)),
        {"epsilon": 1e-3, "axis": (None, None)},
        (True, False, False),
        sharded={"axis": ("data", None)},
    ),
    "conv2d": Example((IMAGES, KERNEL), {"spec": SPEC}, (True, False)),
    "conv2d_input_grad": Example(
        ((4, 6, 6, 5), KERNEL), {"spec": SPEC, "input_size": (6, 6)}, (True, False)
    ),
    "conv2d_kernel_grad": Example(
        (IMAGES, (4, 6, 6, 5)), {"spec": SPEC, "kernel_size": (3, 3)}, (True, True), sums=True
    ),
    "dense": Example(((4, 6), (6, 5)), {"precision": None}, (True, False)),
    "local_conv2d": Example((IMAGES, (3, 5, 18, 2)), {"spec": LOCAL}, (True, False)),
    "local_response_norm": Example(
        (IMAGES,), {"constants": _Constants(3, 0.1, 0.75, 2.0)}, (True,)
    ),
    "masked_batch_norm": Example(
        (IMAGES, (3,), (3,), "mask"),
        {"epsilon": 1e-3, "axis": (None, None)},
        (True, False, False, True),
        sharded={"axis": ("data", None)},
    ),
    "max_pool": Example((IMAGES,), _windows("max_pool"), (True,)),
    "max_pool_with_argmax": Example((IMAGES,), _windows("max_pool_with_argmax"), (True,)),
    "max_unpool": Example(((4, 3, 3, 3), "places"), {"shape": IMAGES}, (True, True)),
    "sum_pool": Example((IMAGES,), _windows("sum_pool"), (True,)),
}


def _all_ops():
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(cnnjax.ops.__path__, "cnnjax.ops.")
    ]
    return {
        value.name: value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, rules.Op)
    }


OPS = _all_ops()


def _operands(name, dtype=jnp.float32):
    generator = np.random.default_rng(0)
    places = np.stack([generator.permutation(36)[:9] for _ in range(12)], axis=1)
    fixed = {
        "places": jnp.asarray(places.reshape(3, 3, 4, 3).transpose(2, 0, 1, 3), jnp.int32),
        "mask": jnp.asarray(np.arange(144).reshape(4, 6, 6, 1) % 5 > 1),
    }
    return tuple(
        fixed[shape] if shape in fixed else jnp.asarray(generator.normal(size=shape), dtype)
        for shape in EXAMPLES[name].shapes
    )


def _first(result):
    return result[0] if isinstance(result, tuple) else result


def _result(name, **settings):
    settings = EXAMPLES[name].settings | settings
    return lambda *operands: _first(OPS[name](*operands, **settings))


def _loss(name, **settings):
    result = _result(name, **settings)
    return lambda *operands: jnp.sum(jnp.sin(result(*operands)))


def _differentiable(name):
    return tuple(i for i, shape in enumerate(EXAMPLES[name].shapes) if shape not in FIXED)


def _gradients(name, **settings):
    return jax.grad(_loss(name, **settings), _differentiable(name))


def _close(found, expected):
    for f, e in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        scale = max(1.0, float(jnp.max(jnp.abs(e))))
        np.testing.assert_allclose(f, e, rtol=0, atol=2e-5 * scale)


def test_every_op_is_in_the_table():
    assert set(OPS) - {"reverse_gradient"} == set(EXAMPLES)  # no function has its gradient


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_rule_is_in_the_program_in_the_scope_of_its_name(name):
    operands = _operands(name)
    assert "custom_vjp_call" in str(jax.make_jaxpr(_result(name))(*operands))
    for backward in ("ours", "native"):
        result = _result(name, backward=backward)
        text = jax.jit(result).lower(*operands).as_text(debug_info=True)
        assert f"/{name}/" in text


@pytest.mark.parametrize("name", EXAMPLES)
def test_gradients_of_first_and_second_order_are_those_of_native(name):
    operands = _operands(name)
    _close(_result(name)(*operands), _result(name, backward="native")(*operands))
    _close(
        quickly(_gradients(name))(*operands),
        quickly(_gradients(name, backward="native"))(*operands),
    )

    def second(**settings):
        def squares(*operands):
            return sum(jnp.sum(g**2) for g in _gradients(name, **settings)(*operands))

        return quickly(jax.grad(squares, _differentiable(name)))(*operands)

    found = second()
    assert all(np.isfinite(g).all() for g in found)
    _close(found, second(backward="native"))


def _along(function, operands, position):
    return lambda x: function(*operands[:position], x, *operands[position + 1 :])


# Their public functions have no argument `backward`: test_forward_mode.py.
ADVICE = dict.fromkeys(EXAMPLES, 'pass backward="native"') | {
    "conv2d_input_grad": "with jax.vjp for dL/dx",
    "conv2d_kernel_grad": "with jax.vjp for dL/dk",
    "max_unpool": "apply max_unpool to the tangent",
}


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_forward_mode_is_refused_in_the_name_of_the_op(name, wrap):
    operands = _operands(name)
    for position in _differentiable(name):
        result, loss = (_along(f(name), operands, position) for f in (_result, _loss))
        x = operands[position]
        # The gradient runs the rule's own forward pass.
        for function in (result, jax.grad(loss)):
            with pytest.raises(TypeError, match=rf"^{name}: .* for forward mode .* {ADVICE[name]}"):
                jax.block_until_ready(jax.jvp(wrap(function), (x,), (x,)))
        with pytest.raises(TypeError, match=f"^{name}: "):
            jax.jacfwd(wrap(result))(x)


@pytest.mark.parametrize("name", EXAMPLES)
def test_forward_mode_of_native_is_the_gradient_along_a_direction(name):
    operands = _operands(name)
    gradients = quickly(_gradients(name))(*operands)
    for position, gradient in zip(_differentiable(name), gradients, strict=True):
        native = quickly(_along(_loss(name, backward="native"), operands, position))
        direction = jnp.cos(operands[position])
        _, tangent = jax.jvp(native, (operands[position],), (direction,))
        expected = jnp.vdot(gradient, direction)
        np.testing.assert_allclose(tangent, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_dtype_is_kept_by_the_result_and_the_gradients(name):
    for dtype in (jnp.bfloat16, jnp.float16):
        operands = _operands(name, dtype)
        assert jax.eval_shape(_result(name), *operands).dtype == dtype
        for i, found in zip(
            _differentiable(name), jax.eval_shape(_gradients(name), *operands), strict=True
        ):
            assert found.dtype == dtype and found.shape == operands[i].shape


@pytest.mark.parametrize("name", EXAMPLES)
def test_vmap_is_a_loop(name):
    operands = _operands(name)
    stacked = tuple(
        jnp.stack([a, 0.5 * a] if jnp.issubdtype(a.dtype, jnp.floating) else [a, a[::-1]])
        for a in operands
    )
    found = quickly(jax.vmap(_gradients(name)))(*stacked)
    gradients = quickly(_gradients(name))
    for i in range(2):
        _close(jax.tree.map(lambda g, i=i: g[i], found), gradients(*(a[i] for a in stacked)))


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("name", EXAMPLES)
def test_shard_map_over_the_batch_is_the_whole_batch(name, check_vma):
    example, operands = EXAMPLES[name], _operands(name)
    settings = dict(example.sharded)
    if name == "max_unpool":
        settings["shape"] = (2, *IMAGES[1:])

    def part(*operands):
        result = _result(name, **settings)(*operands)
        return jax.lax.psum(result, "data") if example.sums else result

    split = jax.shard_map(
        part,
        mesh=jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,)),
        in_specs=tuple(P("data") if cut else P() for cut in example.cut),
        out_specs=P() if example.sums else P("data"),
        check_vma=check_vma,
    )
    loss = lambda *operands: jnp.sum(jnp.sin(split(*operands)))  # noqa: E731
    _close(
        quickly(jax.grad(loss, _differentiable(name)))(*operands),
        quickly(_gradients(name))(*operands),
    )


def test_values_without_gradient_may_stay_whole_while_others_are_cut():
    y, places = _operands("max_unpool")
    split = jax.shard_map(
        partial(OPS["max_unpool"], shape=(2, *IMAGES[1:])),
        mesh=jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,)),
        in_specs=(P("data"), P()),
        out_specs=P("data"),
    )
    both = jnp.concatenate([places[:2]] * 2)
    _close(
        quickly(jax.grad(lambda y: jnp.sum(jnp.sin(split(y, places[:2])))))(y),
        quickly(_gradients("max_unpool"))(y, both)[0],
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_wrong_backward_is_refused_in_the_name_of_the_op(name):
    with pytest.raises(ValueError, match=f"^{name}: backward must be 'ours' or 'native', got 'own"):
        OPS[name](*_operands(name), **EXAMPLES[name].settings, backward="own")


def test_a_part_of_another_op_is_refused_in_its_name():
    x = jnp.ones(IMAGES)
    with pytest.raises(TypeError, match=r"^avg_pool: "):
        jax.jvp(partial(cnnjax.ops.avg_pool, window=2), (x,), (x,))
    with pytest.raises(ValueError, match=r"^avg_pool: backward must be"):
        cnnjax.ops.avg_pool(x, 2, backward="own")


def test_too_few_axes_for_the_rule_are_differentiated_by_jax():
    x, bias = jnp.arange(3.0), jnp.ones(3)
    assert "custom_vjp" not in str(jax.make_jaxpr(cnnjax.ops.add_bias)(x, bias))
    _, tangent = jax.jvp(cnnjax.ops.add_bias, (x, bias), (x, bias))
    np.testing.assert_array_equal(tangent, x + bias)
