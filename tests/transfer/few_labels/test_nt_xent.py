"""NT-Xent against its defining sum, and its batch spread over devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.transfer.few_labels import nt_xent as one_by_one

nt_xent = jax.jit(one_by_one, static_argnames=("temperature", "axis_name"))


def defining_sum(first, second, temperature, counts):
    """Returns each image's loss and share of found views by equation 1, with loops in float64."""
    kept = np.flatnonzero(counts)
    views = [(image, view) for image in kept for view in (0, 1)]
    rows = {(i, v): np.asarray((first, second)[v][i], np.float64) for i, v in views}

    def score(a, b):
        cosine = rows[a] @ rows[b] / np.linalg.norm(rows[a]) / np.linalg.norm(rows[b])
        return cosine / temperature

    losses, found = np.zeros(len(first)), np.zeros(len(first))
    for image, view in views:
        partner = (image, 1 - view)
        others = [other for other in views if other != (image, view)]
        total = sum(np.exp(score((image, view), other)) for other in others)
        losses[image] -= np.log(np.exp(score((image, view), partner)) / total) / 2
        found[image] += (max(others, key=lambda o: score((image, view), o)) == partner) / 2
    return losses, found


def drawn(rows=8, values=5, seed=0):
    first, noise = np.random.default_rng(seed).normal(size=(2, rows, values))
    return first.astype(np.float32), (first + noise).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_it_is_the_defining_sum(temperature):
    first, second = drawn()
    expected = defining_sum(first, second, temperature, np.ones(8))
    assert 0 < expected[1].mean() < 1
    found = nt_xent(first, second, temperature)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


def test_what_fills_up_a_batch_is_no_negative():
    first, second = drawn()
    weight = np.array([1, 1, 0, 1, 0, 1, 1, 1], np.float32)
    losses, found = nt_xent(first, second, 0.5, weight)
    expected = defining_sum(first, second, 0.5, weight)
    np.testing.assert_allclose(np.asarray(losses) * weight, expected[0], rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(np.asarray(found) * weight, expected[1])
    # Images that do not count may hold anything.
    spoiled = np.where(weight[:, None] > 0, first, 1e6 * second)
    again, _ = nt_xent(spoiled, second, 0.5, weight)
    np.testing.assert_array_equal(np.asarray(again) * weight, np.asarray(losses) * weight)


def test_gradients_of_devices_add_up_to_those_of_the_whole_batch():
    first, second = map(jnp.asarray, drawn())
    kernel = jnp.asarray(np.random.default_rng(1).normal(size=(5, 3)), jnp.float32)

    def loss(kernel, first, second, axis_name=None):
        return nt_xent(first @ kernel, second @ kernel, 0.5, axis_name=axis_name)[0].sum()

    def spread(kernel, first, second):
        # Half of the negatives are on the other device.
        value, gradient = jax.value_and_grad(loss)(kernel, first, second, "data")
        return jax.lax.psum((value, gradient), "data")

    halves = (first.reshape(2, 4, 5), second.reshape(2, 4, 5))
    mapped = jax.pmap(spread, "data", in_axes=(None, 0, 0), out_axes=None)
    found = mapped(kernel, *halves)
    expected = jax.jit(jax.value_and_grad(loss))(kernel, first, second)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4, atol=1e-5)


def test_a_projection_of_zero_has_a_finite_gradient():
    rows = jnp.zeros((2, 3))
    gradient = jax.jit(jax.grad(lambda rows: nt_xent(rows, rows + 1.0, 0.5)[0].sum()))(rows)
    assert np.isfinite(gradient).all()
