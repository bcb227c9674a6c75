"""Rows of a task: what no sum gives, collected over batches and devices."""

from dataclasses import dataclass

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import data, tasks
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import make_placement
from cnnjax.training.loop.evaluation import make_evaluator


class Mean(linen.Module):
    """The mean pixel, times a parameter."""

    @linen.compact
    def __call__(self, x):
        return self.param("scale", linen.initializers.ones, ()) * x.mean(axis=(1, 2, 3))


@dataclass(frozen=True)
class Median(tasks.Task):
    """The median error of a split, which no sum over batches gives."""

    def example_losses(self, outputs, batch, moment):
        return jnp.abs(outputs - batch["depth"])

    def example_rows(self, outputs, batch):
        return {"error": jnp.abs(outputs - batch["depth"]), "pair": jnp.stack([outputs] * 2, 1)}

    def metrics(self, sums, rows=None):
        metrics = super().metrics(sums)
        if rows is not None:
            assert rows["pair"].shape == (len(rows["error"]), 2)
            metrics["median"] = float(np.median(rows["error"]))
        return metrics


LAYOUTS = {"one": Parallel(), "jit": Parallel("jit"), "pmap": Parallel("pmap")}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch_size", [8, 24, 512])
def test_every_example_has_its_row_once(layout, batch_size):
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(61, 4, 4, 1)).astype(np.float32)
    depths = rng.uniform(size=61).astype(np.float32)
    examples = data.from_arrays(image=images, depth=depths)
    placement = make_placement(LAYOUTS[layout], {}, 8)
    evaluate = make_evaluator(
        Mean(), Median(), data.Preprocess(), examples, batch_size, placement=placement
    )
    metrics = evaluate(placement.replicate({"params": {"scale": jnp.float32(1)}}), ())
    errors = np.abs(images.astype(np.float64).mean(axis=(1, 2, 3)) - depths)
    assert metrics["median"] == pytest.approx(np.median(errors), abs=1e-6)
    assert metrics["loss"] == pytest.approx(errors.mean(), abs=1e-6)
    assert len(jax.devices()) == 8
