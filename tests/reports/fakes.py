"""A run folder and a trained network that are made up, for pages of every kind."""

import json
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import data


class SmallNet(nn.Module):
    """Two convolutions and a dense layer, written with flax alone."""

    classes: int

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.Conv(6, (3, 3), name="first")(x))
        x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.relu(nn.Conv(20, (3, 3), name="second")(x))
        return nn.Dense(self.classes, name="head")(x.reshape(x.shape[0], -1))


class NoConvolution(nn.Module):
    classes: int

    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dense(self.classes, name="head")(x.reshape(x.shape[0], -1))


class StoredImages:
    """Images that are read when they are indexed, and never all at once."""

    def __init__(self, images):
        self.images, self.read = images, set()
        self.shape, self.dtype = images.shape, images.dtype

    def __len__(self):
        return len(self.images)

    def __getitem__(self, which):
        self.read |= set(np.atleast_1d(np.arange(len(self.images))[which]).tolist())
        return self.images[which]

    def __array__(self, *args, **kwargs):
        raise AssertionError("the whole set is read")


@dataclass
class FakeRun:
    """What `load_run` returns, with probabilities that are set rather than computed."""

    model: Any
    variables: Any
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    probabilities: np.ndarray
    step: int = 20

    def preprocess(self, images):
        return jnp.asarray(images, jnp.float32) / 255

    def judge_evaluated(self):
        parts = {"image": self.images, "label": self.labels}
        return data.ArrayExamples(parts, {"image": "image", "label": "label"}), self.probabilities


def fake_run(*, classes=10, channels=1, count=60, wrong=7, size=8, model=None) -> FakeRun:
    """A run whose first `wrong` images are taken for the next class, with probability 0.6."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    labels = (np.arange(count) % classes).astype(np.int32)
    probabilities = np.full((count, classes), 0.1 / (classes - 2), np.float32)
    rows = np.arange(count)
    probabilities[rows, labels] = np.where(rows < wrong, 0.3, 0.6)
    probabilities[rows, (labels + 1) % classes] = np.where(rows < wrong, 0.6, 0.3)
    model = model or SmallNet(classes)
    variables = model.init(jax.random.key(0), jnp.zeros((1, size, size, channels)))
    names = tuple(f"class {i}" for i in range(classes))
    return FakeRun(model, variables, images, labels, names, probabilities)


def metrics_line(step, split="train", **values):
    line = {"step": step, "epoch": step / 10, "split": split, "loss": 1 / (step + 1)}
    line |= {"accuracy": 0.5, "top5_error": 0.1, **values}
    if split == "train":
        line |= {"learning_rate": 0.1, "images_per_second": 100.0}
    return line


def write_run_folder(folder, lines=None, config=None, run=None):
    """Writes the files that a training run leaves behind."""
    if lines is None:
        lines = [metrics_line(s) for s in (5, 10, 15, 20)]
        lines += [metrics_line(s, "test", accuracy=53 / 60) for s in (10, 20)]
    config = config or {"data": {"name": "digits", "batch_size": 10}, "epochs": 2}
    run = run or {"model": "small", "dataset": "digits", "command": "train <it>", "dirty": True}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
