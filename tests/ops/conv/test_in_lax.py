"""ops.use_in_lax: our convolution in the place of lax's, for a block or for the process."""

import subprocess
import sys
import threading

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnnjax import nn, ops

LAX = lax.conv_general_dilated


def _is_ours(function, *args):
    return "batch_axis=" in str(jax.make_jaxpr(function)(*args))


def _arrays(*shapes):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]


def test_a_block_serves_networks_of_flax_and_ends():
    (x,) = _arrays((2, 8, 8, 3))
    layer = flax.linen.Conv(4, (3, 3))
    variables = jax.eval_shape(layer.init, jax.random.key(0), x)
    assert not _is_ours(layer.apply, variables, x)
    with ops.use_in_lax():
        assert _is_ours(layer.apply, variables, x)
    assert lax.conv_general_dilated is LAX


def test_compiled_functions_are_traced_again_within_a_block():
    x, k = _arrays((1, 3, 5, 5), (2, 3, 3, 3))
    seen = []

    @jax.jit
    def convolve(x, k):
        seen.append(lax.conv_general_dilated)
        return lax.conv_general_dilated(x, k, (1, 1), "SAME")

    convolve(x, k)
    with ops.use_in_lax():
        convolve(x, k)
    convolve(x, k)
    assert seen == [LAX, ops.conv_general_dilated]


@pytest.mark.slow
def test_our_own_ops_do_not_call_themselves():
    """Every way to convolve gives the same within a block, in eager mode and compiled."""
    x, dense, grouped = _arrays((2, 6, 6, 3), (3, 3, 3, 6), (3, 3, 1, 6))
    layer = nn.Conv(4, (3, 3), padding=((2, 2), (2, 2)), input_dilation=(2, 2))
    variables = layer.init(jax.random.key(0), x)

    def results(x, *kernels):
        return [
            *(
                jax.grad(lambda k: jnp.sum(ops.conv2d(x, k, groups=3 // k.shape[2]) ** 2))(k)
                for k in kernels
            ),
            ops.conv2d(x, dense, strides=2, backward="native"),
            ops.conv2d_transpose(x, dense, strides=2),
            ops.lax_conv_general_dilated(x[:, :3], dense.T, (1, 1), "SAME"),
            # Input dilation is lax's own.
            layer.apply(variables, x),
        ]

    before = results(x, dense, grouped)
    with ops.use_in_lax():
        within, compiled = (f(x, dense, grouped) for f in (results, jax.jit(results)))
    for after in (within, compiled):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3), before, after
        )


def test_blocks_nest_overlap_and_end_after_errors():
    with ops.use_in_lax():
        with pytest.raises(KeyError), ops.use_in_lax():
            raise KeyError
        assert lax.conv_general_dilated is ops.conv_general_dilated
    assert lax.conv_general_dilated is LAX
    entered, may_end = threading.Event(), threading.Event()

    def other():
        with ops.use_in_lax():
            entered.set()
            may_end.wait(10)

    thread = threading.Thread(target=other)
    with ops.use_in_lax():
        thread.start()
        entered.wait(10)
    # The other thread's block goes on.
    assert lax.conv_general_dilated is ops.conv_general_dilated
    may_end.set()
    thread.join()
    assert lax.conv_general_dilated is LAX


def test_a_block_is_entered_once():
    block = ops.use_in_lax()
    with block:
        pass
    with (
        pytest.raises(RuntimeError, match=r"^use_in_lax: .*call ops.use_in_lax\(\) for each"),
        block,
    ):
        pass
    assert lax.conv_general_dilated is LAX


def test_what_another_tool_put_there_is_put_back(monkeypatch):
    def theirs(*args, **kwargs):
        return LAX(*args, **kwargs)

    monkeypatch.setattr(lax, "conv_general_dilated", theirs)
    with ops.use_in_lax():
        assert lax.conv_general_dilated is ops.conv_general_dilated
    assert lax.conv_general_dilated is theirs


@pytest.mark.slow
def test_once_for_a_process():
    script = """
import jax.numpy as jnp, flax.linen, jax
from cnnjax import ops
ops.use_in_lax()
import gc; gc.collect()
layer, x = flax.linen.Conv(4, (3, 3)), jnp.ones((1, 5, 5, 2))
print("batch_axis=" in str(jax.make_jaxpr(layer.init_with_output)(jax.random.key(0), x)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"
