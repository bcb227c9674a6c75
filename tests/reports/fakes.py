"""A run folder and a trained network that are made up, for pages of every kind."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.inference.images import ImageForm
from cnnjax.tasks import Classification, Task
from cnnjax.tasks.sections import (
    Bar,
    Cell,
    Chart,
    Column,
    Evaluated,
    Figure,
    MetricChart,
    Picture,
    Pictures,
    Section,
    Series,
    Table,
    TaskReport,
)
from cnnjax.training.folder.run_folder import FORMAT


class SmallNet(linen.Module):
    """Two convolutions and a dense layer, written with flax alone."""

    classes: int

    @linen.compact
    def __call__(self, x, train=False):
        x = linen.relu(linen.Conv(6, (3, 3), name="first")(x))
        x = linen.max_pool(x, (2, 2), (2, 2))
        x = linen.relu(linen.Conv(20, (3, 3), name="second")(x))
        return linen.Dense(self.classes, name="head")(x.reshape(x.shape[0], -1))


class NoConvolution(linen.Module):
    classes: int

    @linen.compact
    def __call__(self, x, train=False):
        return linen.Dense(self.classes, name="head")(x.reshape(x.shape[0], -1))


class StoredImages:
    """Images that are read when they are indexed, and never all at once."""

    def __init__(self, images):
        self.images, self.read = images, set()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, which):
        self.read |= set(np.atleast_1d(np.arange(len(self.images))[which]).tolist())
        return self.images[which]

    def __array__(self, *args, **kwargs):
        raise AssertionError("the whole set is read")


@dataclass
class FakeNetwork:
    """What a trained network read back gives, with predictions that are set, not computed."""

    model: Any
    variables: Any
    task: Any
    images: Any
    parts: dict[str, np.ndarray]
    predictions: np.ndarray
    split: str = "test"
    step: int = 20
    title: tuple[str, str] = ("small", "digits")
    origin: str = "nowhere"
    config: Any = dataclasses.field(default_factory=dict)
    predicted: Any = None

    @property
    def form(self):
        return ImageForm(self.images[0].shape)

    def predict(self, images):
        return self.predicted

    def inputs(self, images):
        return jnp.asarray(images, jnp.float32) / 255

    def evaluated(self):
        places = np.arange(len(self.predictions))
        return Evaluated(self.predictions, self.parts, self.images, places, self.split)


def fake_network(
    *, classes=10, channels=1, count=60, wrong=7, size=8, model=None, split="test"
) -> FakeNetwork:
    """A classifier that takes the first `wrong` images for the next class, by 0.6 to 0.3."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    labels = (np.arange(count) % classes).astype(np.int32)
    probabilities = np.full((count, classes), 0.1 / (classes - 2), np.float32)
    rows = np.arange(count)
    probabilities[rows, labels] = np.where(rows < wrong, 0.3, 0.6)
    probabilities[rows, (labels + 1) % classes] = np.where(rows < wrong, 0.6, 0.3)
    model = model or SmallNet(classes)
    variables = model.init(jax.random.key(0), jnp.zeros((1, size, size, channels)))
    task = Classification(tuple(f"class {i}" for i in range(classes)))
    parts = {"label": labels}
    return FakeNetwork(model, variables, task, images, parts, np.log(probabilities), split)


class PointTask(Task):
    """A regression of two numbers, which knows nothing of classes and shows parts of all kinds."""

    curves = (MetricChart("distance", "Distance", log=True),)

    def report_sections(self, evaluated):
        predictions, points = evaluated.predictions, evaluated.parts["point"]
        distances = np.linalg.norm(predictions - points, axis=1)
        worst = np.argsort(-distances)[:4]
        line = Series("exact", [0, 8], [0, 8], marks=False, dashed=True)
        scatter = [
            Series(name, points[:, axis].tolist(), predictions[:, axis].tolist(), line=False)
            for axis, name in enumerate(("row", "column"))
        ]
        table = Table(
            "The farthest",
            ("point", Column("distance", number=True), ""),
            [
                (
                    f"point <{i}>",
                    Cell(f"{distances[i]:.2f}", tone=0.5, good=False, title="in pixels"),
                    Cell("", bar=float(distances[i] / distances.max())),
                )
                for i in worst
            ],
        )
        images = np.asarray(evaluated.images[worst])
        pictures = [
            Picture(image, lines=(f"{distances[i]:.2f} pixels",), bars=(Bar("far", 0.5, text="x"),))
            for i, image in zip(worst, images, strict=True)
        ]
        sections = (
            Section(
                "points",
                "Points",
                "",
                (
                    Chart("Against the truth", (line, *scatter), "truth", "predicted"),
                    table,
                    Pictures("Farthest", pictures, large=True),
                    Table("Nothing", ("a",), (), empty="There is nothing."),
                ),
            ),
        )
        mean = float(distances.mean())
        figure = Figure("Mean distance", f"{mean:.3f} pixels")
        return TaskReport((figure,), sections, {"distance": mean})


def fake_regression(count=40, size=12) -> FakeNetwork:
    """A network of two numbers an image, that is about one pixel off."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (count, size, size, 1), dtype=np.uint8)
    points = rng.uniform(0, size, (count, 2)).astype(np.float32)
    predictions = points + rng.normal(size=(count, 2)).astype(np.float32)
    model = SmallNet(2)
    variables = model.init(jax.random.key(0), jnp.zeros((1, size, size, 1)))
    parts = {"point": points}
    return FakeNetwork(model, variables, PointTask(), images, parts, predictions)


def metrics_line(step, split="train", **values):
    line = {"step": step, "epoch": step / 10, "split": split, "loss": 1 / (step + 1)}
    line |= {"accuracy": 0.5, "top5_error": 0.0, **values}
    if split == "train":
        line |= {"learning_rate": 0.1, "images_per_second": 100.0}
    return line


def write_run_folder(folder, lines=None, config=None, run=None):
    """Writes the files that a training run leaves behind."""
    if lines is None:
        lines = [metrics_line(s) for s in (5, 10, 15, 20)]
        lines += [metrics_line(s, "test", accuracy=53 / 60) for s in (10, 20)]
    config = config or {"data": {"name": "digits"}, "epochs": 2}
    run = run or {"model": "small", "dataset": "digits", "command": "train <it>", "dirty": True}
    run = {"batch_size": 10, **run}
    description = {"format": FORMAT, "made_by": "configuration", "run": config, "parts": []}
    (folder / "config.json").write_text(json.dumps(description))
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
