"""Bytes of a training step, and what its layers keep for the backward pass."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.analysis.cost.batch_size import max_batch, training_step_bytes
from cnnjax.analysis.cost.saved_activations import kept_bytes


def _images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_max_batch_fits_and_one_eighth_more_does_not():
    model = linen.Sequential(
        [linen.Conv(8, (3, 3)), linen.relu, lambda x: x.mean(axis=(1, 2)), linen.Dense(4)]
    )
    fit = max_batch(model, 20_000_000, (16, 16, 3), small_batches=(4, 8))
    assert 0.9 * 20_000_000 <= fit.step_bytes <= 20_000_000
    more = training_step_bytes(model, (16, 16, 3), fit.batch * 9 // 8)
    assert more > 20_000_000
    with pytest.raises(ValueError, match="a training step with one image needs"):
        max_batch(model, 1000, (16, 16, 3), small_batches=(1, 2))


def test_another_platform_is_refused():
    with pytest.raises(ValueError, match=r"^training_step_bytes: platform must be .* got 'gpu'"):
        training_step_bytes(linen.Dense(2), (4,), 8, platform="gpu")
    with pytest.raises(ValueError, match=r"^max_batch: platform must be .* got 'gpu'"):
        max_batch(linen.Dense(2), 10**6, (4,), platform="gpu")


@pytest.mark.slow
def test_a_batch_is_found_for_a_tpu_that_is_not_there():
    pytest.importorskip("libtpu", reason='pip install "cnnjax[tpu-aot]" brings it')
    model = linen.Sequential([lambda x: x.reshape(x.shape[0], -1), linen.Dense(10)])
    arguments: dict[str, Any] = dict(small_batches=(64, 128), platform="tpu")
    fit = max_batch(model, 50_000_000, (32, 32, 3), **arguments)
    assert 0.9 * 50_000_000 <= fit.step_bytes <= 50_000_000
    # Images alone take 4 bytes a value.
    assert fit.batch < 50_000_000 / (4 * 3072)


def test_a_step_has_room_for_its_state_and_its_images():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.Dense(4)(x.reshape(x.shape[0], -1))

    # Kernel 192 x 4 and bias, with momentum; images of 192 values and labels; 4 bytes each.
    state = 2 * 4 * (192 * 4 + 4)
    few, many = (training_step_bytes(Net(), (8, 8, 3), batch) for batch in (4, 64))
    assert few >= state + 4 * 4 * 193
    assert many - few >= 60 * 4 * 193
    with pytest.raises(ValueError, match="batch 0 is below 1"):
        training_step_bytes(Net(), (8, 8, 3), 0)


@pytest.mark.parametrize("small", [(4, 4), (0, 4)])
def test_two_sizes_are_needed_for_a_line(small):
    with pytest.raises(ValueError, match="must be two sizes above 0"):
        max_batch(linen.Dense(2), 10**6, (4,), small_batches=small)


def test_layers_keep_what_their_gradient_needs():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.Conv(8, (3, 3), use_bias=False, name="conv")(x)
            x = x.reshape(x.shape[0], -1)
            x = linen.Dense(16, use_bias=False, name="square")(x) ** 2
            return linen.Dense(2, use_bias=False, name="head")(x)

    images = jax.ShapeDtypeStruct((1, 4, 4, 3), jnp.float32)
    variables = jax.eval_shape(lambda x: Net().init(jax.random.key(0), x), images)
    kept = kept_bytes(Net(), variables, images, {}, {"conv", "square", "head"})
    # A kernel's gradient needs its input; the square's also the number that is squared.
    assert kept == {"input": 4 * 48, "conv": 4 * 128, "square": 4 * (16 + 16)}


def test_what_is_kept_counts_with_the_layer_before():
    """Without names of layers, all is kept by the input."""
    images = jax.ShapeDtypeStruct((2, 5), jnp.float32)
    model = linen.Sequential([linen.Dense(3), jnp.tanh, linen.Dense(2)])
    variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), images)
    by_layer = kept_bytes(model, variables, images, {}, {"layers_0", "layers_2"})
    together = kept_bytes(model, variables, images, {}, ())
    assert set(by_layer) == {"input", "layers_0"} and set(together) == {"input"}
    assert sum(by_layer.values()) == together["input"]
    assert by_layer["input"] == 4 * 2 * 5
