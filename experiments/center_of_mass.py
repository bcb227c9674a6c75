r"""Where the ink of a digit is: a task, a dataset and a configuration of one's own, in one file.

python -m experiments.train --config=experiments/center_of_mass.py --workdir=runs/center

A LeNet-5 gives two numbers, the row and the column of the digit's center of mass, as shares of the
image's side; the squared error is minimized. Nothing in cnnjax knows about this task.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from cnnjax import data, tasks
from cnnjax.recipes import default_config, task_section
from cnnjax.tasks.sections import Chart, Figure, Section, Series, TaskReport

HERE = "experiments.center_of_mass"


def load():
    """Returns the digits with the center of mass of each, [row, column], in place of its label."""
    digits = data.dataset("digits")
    train, test = (_with_centers(data.load_arrays(digits, split)) for split in ("train", "test"))
    return data.Splits(train, test, mean=digits.mean, std=digits.std)


def _with_centers(examples):
    images = examples.column("image")
    ink = images[..., 0].astype(np.float64)
    # The middle of a pixel, as a share of the side.
    places = (np.arange(8) + 0.5) / 8
    total = ink.sum(axis=(1, 2))
    rows, columns = (ink.sum(axis=axis) @ places / total for axis in (2, 1))
    return data.from_arrays(image=images, center=np.stack([rows, columns], axis=1))


@dataclass(frozen=True)
class Center(tasks.Task):
    """Regression of the part `center`, float [batch, 2]."""

    def outputs(self, spec):
        """Returns the number of values that the network gives.

        Args:
            spec: the parts of the examples.
        """
        return spec["center"].shape[0]

    def example_losses(self, outputs, batch, moment):
        """Returns the squared distance of each example.

        Args:
            outputs: of the network, [batch, 2].
            batch: the examples.
            moment: the step, which changes nothing here.
        """
        return jnp.square(outputs - batch["center"]).sum(axis=-1)

    def example_metrics(self, outputs, batch):
        """Returns the distance of each example, as a share of the image's side.

        Args:
            outputs: of the network, [batch, 2].
            batch: the examples.
        """
        return {"distance": jnp.linalg.norm(outputs - batch["center"], axis=-1)}

    def report_sections(self, evaluated):
        """Returns the mean distance, and a chart of predicted over true coordinates.

        Args:
            evaluated: predictions and examples of a split.
        """
        given, true = evaluated.predictions, evaluated.parts["center"]
        mean = float(np.linalg.norm(given - true, axis=-1).mean())
        points = [
            Series(name, true[:, axis].tolist(), given[:, axis].tolist(), line=False)
            for axis, name in enumerate(("row", "column"))
        ]
        exact = Series("exact", [0.3, 0.7], [0.3, 0.7], marks=False, dashed=True)
        chart = Chart("Given against true", [exact, *points], across="true", up="given")
        section = Section("centers", "Centers of mass", "As shares of the side.", (chart,))
        return TaskReport((Figure("Mean distance", f"{mean:.4f}"),), (section,))


def get_config():
    """Returns the configuration."""
    config: Any = default_config()
    config.model.name = "lenet5"
    config.data.name = f"{HERE}:load"
    config.data.resize = 32
    with config.unlocked():
        config.task = task_section(f"{HERE}:Center")
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 0.002
    config.epochs = 15
    return config
