"""ResNet-18 in flax.linen and flax.nnx has the same losses with lax's convolution and ours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnnjax import ops
from scripts.benchmarks import drop_in


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:scatter inputs have incompatible types")  # nnx.BatchNorm
@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_twenty_steps_have_the_same_losses(library):
    losses = {}
    # float64, since float32 rounding alone moves the losses of a net with batch norm.
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        for name, convolution in (
            ("lax", lax.conv_general_dilated),
            ("ours", ops.conv_general_dilated),
        ):
            step, state = drop_in.training(library, convolution, 4, 32, jnp.float64)
            step = jax.jit(step)
            losses[name] = []
            for _ in range(20):
                state, loss = step(state)
                losses[name].append(float(loss))
    assert losses["ours"][-1] < 0.5 * losses["ours"][0]
    # Losses start at 2.7 and end near 1e-4, where only the rounding of the logits is left.
    np.testing.assert_allclose(losses["ours"], losses["lax"], rtol=1e-9, atol=1e-11)
