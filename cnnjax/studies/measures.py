"""What is measured of a trained run: its metrics, errors on both splits, gradients by depth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import data
from cnnjax.analysis.cost.multiply_adds import multiply_adds_by_layer
from cnnjax.nearest import did_you_mean
from cnnjax.patterns import path_names
from cnnjax.studies.context import RunContext
from cnnjax.training.errors import ConfigError
from cnnjax.training.loop.batches import Batches
from cnnjax.training.loop.evaluation import make_evaluator, one_device
from cnnjax.training.loop.gradient import loss_gradient
from cnnjax.training.result import RunResult
from cnnjax.training.run import Run


@dataclass(frozen=True)
class Trained:
    """A run of a study that has been trained.

    Attributes:
        run: what was trained, with its examples.
        result: metrics, variables and history after the last step.
        workdir: the run's folder.
        context: its labels, and the folders of the runs that it started from; None outside of
            studies.
    """

    run: Run
    result: RunResult
    workdir: Path
    context: RunContext | None = None


def metric(name: str) -> Callable[[Trained], float]:
    """Returns the measure of one of the task's metrics over the evaluated split.

    Args:
        name: of the metric, such as "loss".
    """

    def measure(trained: Trained) -> float:
        return _value(trained.result.metrics, name)

    return measure


def error(trained: Trained) -> float:
    """Returns the error of a classification on the evaluated split, as a share of 1.

    Args:
        trained: the run.
    """
    return 1 - _value(trained.result.metrics, "accuracy")


def training_metric(name: str) -> Callable[[Trained], float]:
    """Returns the measure of a metric over the training examples, as evaluation sees them.

    Unlike the metrics that a run logs, these are of one state, without augmentation.

    Args:
        name: of the metric, such as "loss".
    """

    def measure(trained: Trained) -> float:
        run = trained.run
        evaluate = make_evaluator(run.model, run.task, run.preprocess, run.main.examples)
        return _value(evaluate(trained.result.variables, trained.result.task_state), name)

    return measure


def training_error(trained: Trained) -> float:
    """Returns the error of a classification on its training examples, without augmentation.

    Args:
        trained: the run.
    """
    return 1 - training_metric("accuracy")(trained)


def steps_to(name: str, share: float) -> Callable[[Trained], float]:
    """Returns the measure of how many steps a metric takes to a share of its last value.

    Between the evaluations of the evaluated split it is taken to follow a straight line; before the
    first one, from 0.

    Args:
        name: of a metric that rises, such as "accuracy".
        share: of the value after the last step, above 0 and up to 1.

    Raises:
        ConfigError: the share lies outside.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"study.outcomes: a share of {share} was given; give above 0, up to 1")

    def measure(trained: Trained) -> float:
        lines = [line for line in trained.result.history if line["split"] == trained.result.split]
        aim = share * _value(trained.result.metrics, name)
        before_step, before = 0.0, 0.0
        for line in lines:
            step, value = float(line["step"]), _value(line, name)
            if value >= aim:
                part = (aim - before) / (value - before) if value > before else 0.0
                return before_step + max(part, 0.0) * (step - before_step)
            before_step, before = step, value
        return before_step

    return measure


def gradient_norms(trained: Trained) -> list[float]:
    """Returns the norm of the loss's gradient by each layer's kernel, before the first step.

    It is the gradient of the run's first training batch, as the first step has it; the layers are
    those with a kernel, in the order of computation.

    Args:
        trained: the run.
    """
    run = trained.run
    batches = Batches(run, one_device(), data.ReadOptions())
    try:
        stored = jax.tree.map(jnp.asarray, batches.host_batch(0))
        batch = run.make_batch(stored, 0)
    finally:
        batches.close()
    gradient = loss_gradient(run, run.init_state(), batch)
    leaves = dict(zip(path_names(gradient), jax.device_get(jax.tree.leaves(gradient)), strict=True))
    layers = multiply_adds_by_layer(run.model, run.image_shape)
    kernels = [leaves[f"{layer}/kernel"] for layer in layers if f"{layer}/kernel" in leaves]
    return [float(np.linalg.norm(np.asarray(kernel, np.float64))) for kernel in kernels]


def _value(metrics: Mapping[str, Any], name: str) -> float:
    if name not in metrics:
        hint = did_you_mean(name, metrics, count=1) or f"there are {', '.join(metrics)}"
        raise ConfigError(f"study.outcomes: the runs have no metric {name!r}; {hint.strip()}")
    return metrics[name]
