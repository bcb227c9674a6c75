"""The traced operations of a model: their calls, scopes, turns and products."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import pytest

from cnnjax.analysis import summarize
from cnnjax.analysis.cost.summarize import shape_variables
from cnnjax.analysis.cost.traces import trace_operations
from tests.analysis.nets import PlainNet


class Function(linen.Module):
    """A function of an image as a model without parameters."""

    function: Any

    def __call__(self, x):
        return self.function(x)


def _operations(function, shape=(1, 6, 4, 2)):
    images = jax.ShapeDtypeStruct(shape, jnp.float32)
    return trace_operations(Function(function), {}, images).operations


def _products(function, shape=(1, 6, 4, 2)):
    return sum(operation.multiply_adds for operation in _operations(function, shape))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x @ jnp.ones((2, 5)), 24 * 2 * 5),
        (lambda x: jnp.einsum("nhwc,nkwc->nhkw", x, x), 6 * 6 * 4 * 2),
        (lambda x: jnp.tensordot(x, x, [[1, 2, 3], [1, 2, 3]]), 48),
        # Products of constants are no work for an image.
        (lambda x: x + (jnp.ones((1, 3)) @ jnp.ones((3, 1))).reshape(1, 1, 1, 1), 0),
        (lambda x: jnp.exp(x) * x, 0),
    ],
)
def test_products_of_functions_are_counted_by_the_defining_sum(function, expected):
    assert _products(function) == expected


def test_loops_within_loops_count_their_turns():
    def inner(x, _):
        return x @ jnp.eye(2), None

    def outer(x, _):
        return jax.lax.scan(inner, x, None, length=3)[0], None

    def loop(x):
        return jax.lax.scan(outer, x, None, length=5)[0]

    assert _products(loop) == 5 * 3 * 24 * 2 * 2
    (product,) = [o for o in _operations(loop) if o.primitive == "dot_general"]
    assert product.turns == 15


def test_a_loop_carries_the_field_from_turn_to_turn():
    def turn(x, _):
        return jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 3, 1, 1), (1, 1, 1, 1), "SAME"), None

    reaches: Any = _operations(lambda x: jax.lax.scan(turn, x, None, length=4)[0])[-1].reaches
    rows, columns = reaches
    assert (rows.size, rows.stride, columns.size) == (1 + 4 * 2, 1, 1)


def test_what_a_loop_stacks_depends_on_everything():
    def turn(x, row):
        return x, row * 2

    reaches: Any = _operations(lambda x: jax.lax.scan(turn, 0.0, x[0])[1])[-1].reaches
    rows, _ = reaches
    assert (rows.low, rows.high) == (0, 5)


def test_the_general_branch_of_platforms_is_read():
    def general(x):
        return jax.lax.platform_dependent(
            x, tpu=lambda x: x @ jnp.ones((2, 9)) @ jnp.ones((9, 3)), default=lambda x: x @ ones
        )

    ones = jnp.ones((2, 3))
    assert _products(general) == 24 * 2 * 3


def test_operations_belong_to_their_calls_and_scopes():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.Dense(3, name="dense")(x)
            with jax.named_scope("square"):
                return x * x

    images = jax.ShapeDtypeStruct((1, 4, 4, 2), jnp.float32)
    trace = trace_operations(Net(), shape_variables(Net(), images, {}), images)
    named = {o.primitive: (trace.calls[o.call].name, o.function) for o in trace.operations}
    assert named["dot_general"][0] == "dense"
    assert named["mul"] == ("", "square")
    ends = [trace.calls[o.marks].name for o in trace.operations if o.marks is not None]
    assert ends == ["dense", ""]
    assert trace.products == {1: 16 * 2 * 3}


def test_variables_have_the_shapes_of_initialization():
    images = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
    shapes = shape_variables(PlainNet(), images, {})
    variables = PlainNet().init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)), train=False)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), shapes) == jax.tree.map(
        lambda a: (a.shape, a.dtype), variables
    )


def test_given_variables_and_dtype_are_used():
    model = linen.Dense(3, dtype=jnp.bfloat16)
    half = {"params": {"kernel": jax.ShapeDtypeStruct((4, 3), jnp.bfloat16)}}
    half["params"]["bias"] = jax.ShapeDtypeStruct((3,), jnp.bfloat16)
    summary = summarize(model, (4,), dtype=jnp.bfloat16, variables=half, name="mine", kept=False)
    assert summary.model == "mine"
    # Two bytes for each of the input's 4 values and the output's 3.
    assert [row.bytes_forward for row in summary.rows] == [8, 6]
    assert summary.bytes_kept == 0 and summary.xla_multiply_adds is None


class Joined(linen.Module):
    """A layer that takes a list of arrays, as those of densely connected blocks do."""

    @linen.compact
    def __call__(self, arrays):
        return linen.Dense(5, use_bias=False)(jnp.concatenate(arrays, axis=-1))


class Dense(linen.Module):
    @linen.compact
    def __call__(self, x):
        return Joined()([x, x])


def test_a_layer_may_take_a_list_of_arrays():
    summary = summarize(Dense(), (6, 4, 2))
    assert summary.multiply_adds == 6 * 4 * 4 * 5
