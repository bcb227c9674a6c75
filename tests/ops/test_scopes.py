"""Public ops open a named scope, which profiles show, with either derivative."""

import jax
import jax.numpy as jnp
import pytest

from cnnjax import ops

X, KERNEL = jnp.ones((2, 5, 5, 2)), jnp.ones((3, 3, 2, 4))

# Those whose scope the test of `make_op` does not see.
SCOPED = {
    "conv2d": lambda x, how: ops.conv2d(x, KERNEL, backward=how),
    "conv2d_transpose": lambda x, how: ops.conv2d_transpose(x, KERNEL, backward=how),
    "im2col": lambda x, how: ops.im2col(x, 3),
    "col2im": lambda x, how: ops.col2im(jnp.tile(x, 9), (2, 5, 5, 2), 3),
}


@pytest.mark.parametrize("backward", ["ours", "native"])
@pytest.mark.parametrize("name", SCOPED)
def test_the_scope_is_the_same_with_either_derivative(name, backward):
    text = jax.jit(lambda x: SCOPED[name](x, backward)).lower(X).as_text(debug_info=True)
    assert f"/{name}/" in text
