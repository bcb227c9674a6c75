"""The report of a run that was made in Python, and of a task that has metrics alone."""

import re
from dataclasses import dataclass

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import data, reports, tasks, training
from tests.reports.test_page import _Elements


class Mean(linen.Module):
    """A network of another project: its mode has no default, its images are floats."""

    @linen.compact
    def __call__(self, x, train: bool):
        x = linen.relu(linen.Conv(3, (3, 3))(x))
        x = linen.BatchNorm(use_running_average=not train)(x)
        return linen.Dense(1)(x.mean(axis=(1, 2)))


@dataclass(frozen=True)
class Brightness(tasks.Task):
    """Two metrics, and nothing else for a report."""

    def example_losses(self, outputs, batch, moment):
        return jnp.square(outputs[:, 0] - batch["brightness"])

    def example_metrics(self, outputs, batch):
        return {"far_off": jnp.abs(outputs[:, 0] - batch["brightness"])}


@pytest.fixture(scope="module")
def run():
    images = np.random.default_rng(0).normal(size=(24, 8, 8, 1)).astype(np.float32)
    examples = data.from_arrays(image=images, brightness=images.mean(axis=(1, 2, 3)))
    return training.Run(
        model=Mean(),
        task=Brightness(),
        train=data.choose(examples, range(16)),
        test=data.choose(examples, range(16, 24)),
        optimizer=optax.sgd(0.1),
        epochs=2,
        batch_size=8,
    )


@pytest.fixture(scope="module")
def trained(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "mine"
    return folder, training.fit(run, folder, progress=False)


@pytest.mark.parametrize("analysis", [False, True])
def test_a_run_made_in_python_has_its_page(run, trained, analysis):
    folder, result = trained
    path = reports.write_report(folder, run=run, analysis=analysis)
    text = path.read_text()
    elements = _Elements(text).elements
    ids = [a["id"] for _, a in elements if "id" in a]
    assert len(ids) == len(set(ids)) and {"curves", "course", "activations"} <= set(ids)
    figures = text.split('<dl class="figures"')[1].split("</dl>")[0]
    # The lines that the program prints.
    for name in ("loss", "far_off"):
        assert f"<dt>Test {name}</dt>" in figures
        assert f'<dd class="value">{result.metrics[name]:.6g}</dd>' in figures
    curves = text.split('id="curves"')[1].split("</section>")[0]
    assert re.findall("<h3>(.*?)</h3>", curves) == ["Loss", "Far off"]
    assert {"cost", "looking", "health"} <= set(ids) or not analysis


def test_a_run_made_in_python_must_be_given(trained):
    with pytest.raises(training.ConfigError, match="was made in Python; give it"):
        reports.write_report(trained[0])
