"""Many seeds of a run: their accuracies, their times, and the record of both."""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cnnjax.training import TrainingDiverged
from cnnjax.writing import write_text
from experiments.speedrun.programs import Programs

WARM_UP_SEED = 2**31 - 1
"""Seed of the run that is not counted, far from those that are."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """One seed's run.

    Attributes:
        seed: of initialization, order and augmentation.
        accuracy: share of the test images that are right, with the recipe's further views.
        plain_accuracy: the same from the image alone.
        loss: mean training loss of the last step, in nats.
        seconds: training and evaluation, without compilation.
        evaluation_seconds: the part of `seconds` that is evaluation.
    """

    seed: int
    accuracy: float
    plain_accuracy: float
    loss: float
    seconds: float
    evaluation_seconds: float


def run_trials(programs: Programs, seeds: int, tests: int, *, warm_up: bool) -> Iterator[Trial]:
    """Yields one trial after the other.

    Args:
        programs: the compiled run.
        seeds: how many; the seeds are 0, 1, 2, ...
        tests: number of test images.
        warm_up: whether a run that is not counted comes first.

    Raises:
        TrainingDiverged: a loss is not finite.
    """
    if warm_up:
        _trial(programs, WARM_UP_SEED, tests)
    for seed in range(seeds):
        yield _trial(programs, seed, tests)


def _trial(programs: Programs, seed: int, tests: int) -> Trial:
    # JAX returns before the work is done: each time is taken after waiting.
    key = jax.block_until_ready(jax.random.key(seed))
    start = time.perf_counter()
    variables, losses = jax.block_until_ready(programs.train(key))
    trained = time.perf_counter()
    plain, mean = jax.block_until_ready(programs.evaluate(variables))
    ended = time.perf_counter()
    losses = np.asarray(losses)
    if not np.isfinite(losses).all():
        step = int(np.argmin(np.isfinite(losses))) + 1
        raise TrainingDiverged(
            f"seed {seed}: the loss of step {step} of {len(losses)} is {losses[step - 1]}; "
            "try --precision=float32, or fewer images a step"
        )
    return Trial(
        seed=seed,
        accuracy=int(mean) / tests,
        plain_accuracy=int(plain) / tests,
        loss=float(losses[-1]),
        seconds=ended - start,
        evaluation_seconds=ended - trained,
    )


def summarize(trials: list[Trial]) -> dict[str, float]:
    """Returns means and standard deviations over the trials.

    Args:
        trials: one or more; the deviations of a single one are 0.
    """
    accuracies = [trial.accuracy for trial in trials]
    seconds = [trial.seconds for trial in trials]
    several = len(trials) > 1
    return {
        "runs": len(trials),
        "mean_accuracy": statistics.mean(accuracies),
        "accuracy_deviation": statistics.stdev(accuracies) if several else 0.0,
        "mean_plain_accuracy": statistics.mean(trial.plain_accuracy for trial in trials),
        "mean_seconds": statistics.mean(seconds),
        "median_seconds": statistics.median(seconds),
        "seconds_deviation": statistics.stdev(seconds) if several else 0.0,
        "mean_evaluation_seconds": statistics.mean(trial.evaluation_seconds for trial in trials),
    }


def markdown(record: dict[str, Any]) -> str:
    """Returns a record as a Markdown page: the command, the machine, the means, and every run.

    Args:
        record: all that is known of the trials, as JSON.
    """
    summary = record["summary"]
    environment = record["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    rows = [
        f"| {trial['seed']} | {trial['accuracy']:.2%} | {trial['plain_accuracy']:.2%} | "
        f"{trial['loss']:.4f} | {trial['seconds']:.3f} | {trial['evaluation_seconds']:.3f} |"
        for trial in record["trials"]
    ]
    return "\n".join(
        [
            "# CIFAR-10 speedrun",
            "",
            f"`{record['command']}`",
            "",
            f"{environment['devices']}; {versions}. Recipe {record['recipe']['name']}, "
            f"{record['precision']}, {record['train_examples']} training and "
            f"{record['test_examples']} test images.",
            "",
            f"Mean accuracy over {summary['runs']} runs **{summary['mean_accuracy']:.3%}** "
            f"(standard deviation {summary['accuracy_deviation']:.3%}; "
            f"{summary['mean_plain_accuracy']:.3%} without test-time augmentation) in "
            f"**{summary['mean_seconds']:.3f} s** a run (standard deviation "
            f"{summary['seconds_deviation']:.3f} s), of which "
            f"{summary['mean_evaluation_seconds']:.3f} s are the evaluation. Compiling took "
            f"{record['compile_seconds']:.1f} s and is not counted"
            + ("; nor is the run that came first to warm up." if record["warm_up"] else "."),
            "",
            "| seed | accuracy | one view | last loss | seconds | evaluation, s |",
            "|--:|--:|--:|--:|--:|--:|",
            *rows,
            "",
        ]
    )


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Writes a record as JSON, and as Markdown beside it.

    Args:
        path: of the JSON file.
        record: see `markdown`.
    """
    write_text(path, json.dumps(record, indent=1) + "\n")
    write_text(path.with_suffix(".md"), markdown(record))
