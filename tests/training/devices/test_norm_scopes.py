"""Batch statistics of the whole batch, of a device's examples or of groups, by layout."""

import functools
import itertools

import jax
import numpy as np
import pytest

from cnnjax import training
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import BatchNormScope, make_placement
from tests.helpers.fixtures import optimized  # noqa: F401
from tests.helpers.trees import largest_difference
from tests.training.devices.parallel_case import (
    GLOBAL,
    JIT,
    ONE,
    PMAP,
    SHAPES,
    Case,
)

DEVICE = BatchNormScope(scope="device")
WIDE = BatchNormScope(scope="group", group_size=16)
NARROW = BatchNormScope(scope="group", group_size=4)
EIGHTHS = BatchNormScope(scope="group", group_size=8)


LAYOUTS = {"one": ONE, "jit": JIT, "pmap": PMAP}
SCOPES = {
    "whole": (GLOBAL, 1),
    "eighths": (EIGHTHS, 1),
    "device": (DEVICE, 1),
    "wide": (WIDE, 1),
    "narrow": (NARROW, 1),
    "parts": (GLOBAL, 2),
}


@functools.cache
def scoped(name):
    """Losses and fetched state after four steps of a very small net, by layout and scope."""
    layout, _, scope = name.partition(", ")
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        case = Case(LAYOUTS[layout], np.float64, *SCOPES[scope], blocks=(1,), widths=(4,))
        losses = case.run(4)
        return losses, case.placement.fetch((case.state.params, case.state.collections))


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("pmap, device", "jit, device"),
        ("jit, device", "one, eighths"),
        # Groups of more examples than a device has, which take a collective of their own.
        ("pmap, wide", "jit, wide"),
        pytest.param("pmap, narrow", "jit, narrow", marks=pytest.mark.slow),
        ("jit, parts", "one, parts"),
        pytest.param("pmap, parts", "one, parts", marks=pytest.mark.slow),
    ],
)
def test_the_same_batch_norm_scope_gives_the_same_numbers(name, like):
    np.testing.assert_allclose(scoped(name)[0], scoped(like)[0], rtol=0, atol=1e-9)
    assert largest_difference(scoped(name)[1], scoped(like)[1]) < 1e-9


DIFFERENT = ["jit, device", "jit, wide", "one, parts", "one, whole", "jit, narrow"]


@pytest.mark.parametrize(
    "names", [DIFFERENT[:3], pytest.param(DIFFERENT, marks=pytest.mark.slow)], ids=len
)
def test_other_batch_norm_scopes_give_other_numbers(names):
    for name, other in itertools.combinations(names, 2):
        assert largest_difference(scoped(name)[1], scoped(other)[1]) > 1e-3, (name, other)


def test_groups_across_devices_that_pmap_cannot_make_are_refused():
    placement = make_placement(Parallel("pmap", "data:6"), SHAPES, 60)
    with pytest.raises(training.ConfigError, match="do not start and end with the 10 of a device"):
        placement.batch_statistics(BatchNormScope("group", 15), 60)
    with pytest.raises(training.ConfigError, match="give a divisor of the 60 examples"):
        placement.batch_statistics(BatchNormScope("group", 7), 60)
