from typing import Any

import flax.linen as linen
import jax
import numpy as np
import pytest

from cnnjax.analysis.batches import in_batches
from cnnjax.analysis.behavior.invariance import invariance_curves
from cnnjax.analysis.behavior.rectifiers import dead_units


@pytest.mark.parametrize(("count", "size"), [(1, 4), (4, 4), (9, 4), (10, 3)])
def test_rows_come_out_as_they_went_in_and_batches_have_one_size(count, size):
    sizes = set()

    def function(x, y):
        sizes.add(len(x))
        return {"sum": x + y, "both": (x, 2 * y)}

    x = np.arange(count, dtype=np.float32)
    result = in_batches(function, x, x * 10, size=size)
    np.testing.assert_array_equal(result["sum"], 11 * x)
    np.testing.assert_array_equal(result["both"][1], 20 * x)
    assert sizes == {min(count, size)}


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="arrays of 3, 2 rows"):
        in_batches(lambda x, y: x, np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match="at least 1"):
        in_batches(lambda x: x, np.zeros(0))


def test_many_images_and_changes_trace_a_model_once():
    """Compiling a deep network takes longer than running it."""
    traces = []

    class Traced(linen.Module):
        @linen.compact
        def __call__(self, x):
            traces.append(x.shape)
            return linen.Dense(3)(linen.relu(linen.Conv(2, (3, 3))(x)).mean(axis=(1, 2)))

    model = Traced()
    images = np.random.default_rng(0).normal(size=(150, 8, 8, 1)).astype(np.float32)
    variables = model.init(jax.random.key(0), images[:1])
    traces.clear()
    changes: Any = {"shift": [0.0, 1.0], "rotation": [30.0], "scale": [0.5, 2.0]}
    curves = invariance_curves(model, variables, images, np.arange(150) % 3, changes)
    assert [len(curve.accuracy) for curve in curves] == [2, 1, 2]
    assert len(traces) == 1
    traces.clear()
    dead_units(model, variables, images)
    assert len(traces) == 1
