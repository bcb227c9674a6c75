"""Batch statistics of the whole batch, of a device's examples or of groups, by layout."""

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


@pytest.fixture(scope="module")
def scoped():
    """Losses and fetched states after four steps of a very small net, by layout and scope."""

    def run(layout, scope, parts=1):
        case = Case(layout, np.float64, scope, parts, blocks=(1,), widths=(4,))
        losses = case.run(4)
        return losses, case.placement.fetch((case.state.params, case.state.collections))

    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        return {
            "one": run(ONE, GLOBAL),
            "one, eighths": run(ONE, EIGHTHS),
            "jit, device": run(JIT, DEVICE),
            "pmap, device": run(PMAP, DEVICE),
            "jit, wide": run(JIT, WIDE),
            "pmap, wide": run(PMAP, WIDE),
            "jit, narrow": run(JIT, NARROW),
            "pmap, narrow": run(PMAP, NARROW),
            "one, parts": run(ONE, GLOBAL, parts=2),
            "jit, parts": run(JIT, GLOBAL, parts=2),
            "pmap, parts": run(PMAP, GLOBAL, parts=2),
        }


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("pmap, device", "jit, device"),
        ("jit, device", "one, eighths"),
        ("pmap, wide", "jit, wide"),
        ("pmap, narrow", "jit, narrow"),
        ("jit, parts", "one, parts"),
        ("pmap, parts", "one, parts"),
    ],
)
def test_the_same_batch_norm_scope_gives_the_same_numbers(scoped, name, like):
    np.testing.assert_allclose(scoped[name][0], scoped[like][0], rtol=0, atol=1e-9)
    assert largest_difference(scoped[name][1], scoped[like][1]) < 1e-9


def test_other_batch_norm_scopes_give_other_numbers(scoped):
    names = ["one", "jit, device", "jit, wide", "jit, narrow", "one, parts"]
    for position, name in enumerate(names):
        for other in names[:position]:
            assert largest_difference(scoped[name][1], scoped[other][1]) > 1e-3, (name, other)


def test_groups_across_devices_that_pmap_cannot_make_are_refused():
    placement = make_placement(Parallel("pmap", "data:6"), SHAPES, 60)
    with pytest.raises(training.ConfigError, match="do not start and end with the 10 of a device"):
        placement.batch_statistics(BatchNormScope("group", 15), 60)
    with pytest.raises(training.ConfigError, match="give a divisor of the 60 examples"):
        placement.batch_statistics(BatchNormScope("group", 7), 60)
