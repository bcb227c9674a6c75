"""Functions of arrays are verified, and all others are left as they are."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import jaxtyping
import pytest
from jaxtyping import Array, Float

from cnnjax import ops
from tests.shape_checks import check_shapes

Rows = Float[Array, "rows columns"]
verified: Any = jaxtyping.jaxtyped(typechecker=check_shapes)


def sums(x: Rows) -> Float[Array, " rows"]:
    return x.sum(axis=0)


def sums_written_as_text(x: "Rows") -> 'tuple[Float[Array, " rows"], ...]':
    return (x.sum(axis=0),)


@pytest.mark.parametrize("function", [sums, sums_written_as_text])
def test_a_result_of_another_shape_is_refused(function):
    verified(function)(jnp.ones((2, 2)))
    with pytest.raises(jaxtyping.TypeCheckError):
        verified(function)(jnp.ones((2, 3)))


def test_methods_and_fields_are_verified():
    @verified
    @dataclasses.dataclass
    class Pair:
        x: Rows

        @verified
        @classmethod
        def of(cls, x: Rows) -> Rows:
            return x[0]

        @verified
        @property
        def first(self) -> Rows:
            return self.x[0]

    pair = Pair(jnp.ones((2, 3)))
    for wrong in (lambda: Pair(jnp.ones(3)), lambda: Pair.of(jnp.ones((2, 3))), lambda: pair.first):
        with pytest.raises(jaxtyping.TypeCheckError):
            wrong()


def test_functions_without_arrays_are_left_as_they_are():
    def plain(x: int, unknown: "Missing[int]" = 0) -> None:  # type: ignore
        del x, unknown

    assert verified(plain) is plain
    assert verified(len) is len


def test_the_package_is_verified():
    relu: Any = ops.relu
    assert relu.__wrapped__.__module__ == "cnnjax.ops.activations"
    assert "jaxtyping" in relu.__wrapped__.__code__.co_filename
