"""ResNet-18 of other libraries has the same losses with lax's convolution and with ours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scripts.benchmarks.drop_in.steps import LIBRARIES, training


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:scatter inputs have incompatible types")  # nnx.BatchNorm
@pytest.mark.parametrize("library", LIBRARIES)
def test_twenty_steps_have_the_same_losses(library):
    pytest.importorskip(LIBRARIES[library], reason='pip install "cnnjax[drop-in]" brings it')
    losses = {}
    # float64, since float32 rounding alone moves the losses of a net with batch norm.
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        for ours in (False, True):
            step, state = training(library, ours, 4, 32, jnp.float64)
            step = jax.jit(step)
            is_ours = "batch_axis=" in str(jax.make_jaxpr(step)(state))
            assert is_ours is ours
            losses[ours] = []
            for _ in range(20):
                state, loss = step(state)
                losses[ours].append(float(loss))
    # Group normalization learns the slowest.
    assert losses[True][-1] < 0.8 * losses[True][0]
    # With batch norm they end near 1e-4, where only the rounding of the logits is left.
    np.testing.assert_allclose(losses[True], losses[False], rtol=1e-9, atol=1e-11)
