import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import search
from tests.helpers.registries import keep_as_it_is

X = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("name", sorted(search.OPERATIONS))
def test_operations_keep_the_channels_and_divide_the_size(name, strides):
    operation = search.OPERATIONS.get(name)(4, strides)
    y, _ = jax.eval_shape(operation.init_with_output, jax.random.key(0), jnp.asarray(X))
    assert y.shape == (2, 6 // strides, 6 // strides, 4)


def windows(x, combine):
    """Returns a combination of the pixels of each 3x3 window that are inside of the image."""
    out = np.empty_like(x)
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            part = x[:, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            out[:, row, column] = combine(part, axis=(1, 2))
    return out


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("identity", X),
        ("max_3x3", windows(X, np.max)),
        ("average_3x3", windows(X.astype(np.float64), np.mean)),
    ],
)
def test_operations_without_parameters(name, expected):
    operation = search.OPERATIONS.get(name)(4)
    variables = operation.init(jax.random.key(0), jnp.asarray(X))
    assert variables == {}
    found = np.asarray(operation.apply(variables, jnp.asarray(X)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_own_operations_are_registered(monkeypatch):
    keep_as_it_is(search.OPERATIONS, monkeypatch)

    @search.register_operation("negative")
    class Negative(search.Operation):
        def __call__(self, x, train=False):
            return -x[:, :: self.strides, :: self.strides]

    net = search.CellNet(genome="normal: negative(0)", width=4, stages=1)
    variables = net.init(jax.random.key(0), jnp.asarray(X))
    assert net.apply(variables, jnp.asarray(X)).shape == (2, 10)
    assert "negative" in search.CellSpace(("negative", "identity")).operations


@pytest.mark.parametrize("name", ["a b", "a(0)", "a+b", "a|b", "a;b", 'a"', "a:b", "", 3])
def test_names_that_genomes_cannot_hold_are_refused(name):
    with pytest.raises(ValueError, match="can't be a name in the text of a genome"):
        search.register_operation(name)


def test_other_classes_are_refused():
    with pytest.raises(ValueError, match=r"derive a class from search\.Operation"):
        search.register_operation("function")(dict)  # pyright: ignore
