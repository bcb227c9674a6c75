"""Searches whose objective is made up: nothing is trained."""

import math
import os
from types import SimpleNamespace
from typing import Any

from cnnjax import studies
from cnnjax.studies import making, worker
from cnnjax.studies.cost import Cost
from cnnjax.studies.search import worker as search_worker

RATE, DECAY = "optimizer.learning_rate", "optimizer.weight_decay"

SPACE = {
    RATE: studies.LogUniform(1e-4, 1.0),
    DECAY: studies.Uniform(0.0, 0.5),
    "data.batch_size": studies.Integers(8, 64),
    "model.overrides.widths": studies.Choices([(4,), (8, 8), None]),
}

BEST = 0.01
"""The rate with the highest accuracy."""


def make_search(**changes) -> studies.Search:
    fields: dict[str, Any] = {
        "question": "Which settings?",
        "base": {"data": {"validation_examples": 100}, "epochs": 9},
        "space": SPACE,
        "trials": 8,
        "seeds": (0, 1),
    }
    return studies.Search(**{**fields, **changes})


def accuracy(config, epoch) -> float:
    """Grows with the epochs, and is the lower, the farther the rate is from the best one."""
    distance = abs(math.log10(config.optimizer.learning_rate / BEST))
    return (1 - 0.2 * distance) * epoch / config.epochs


class Training:
    """Takes the place of `fit`: counts what it trains, and fails where it is set to.

    Attributes:
        trained: names of runs with the epochs that each was trained for, in order.
        errors: an error by the name of the run and the epoch before which it is raised.
    """

    def __init__(self, monkeypatch):
        self._counts: list[list[Any]] = []
        self.errors: dict[tuple[str, int], BaseException] = {}
        # Thousands of lines are written, and no power failure is tested.
        monkeypatch.setattr(os, "fsync", lambda file: None)
        monkeypatch.setattr(worker, "fit", self.fit)
        monkeypatch.setattr(making, "recipes", SimpleNamespace(make_run=self.make_run))
        monkeypatch.setattr(search_worker.RetrainWorker, "_measure", self.score)
        monkeypatch.setattr(search_worker.RetrainWorker, "_load_test", lambda *given: None)
        counted = SimpleNamespace(of=cost, of_base=lambda search: cost(), of_trial=cost)
        monkeypatch.setattr(search_worker, "TrialCosts", lambda folder: counted)

    @property
    def trained(self) -> list[tuple[str, int]]:
        return [(name, epoch) for name, epoch in self._counts]

    def make_run(self, config, **options):
        return SimpleNamespace(
            config=config, total_steps=10 * config.epochs, epoch_steps=10, split="validation"
        )

    def fit(self, run, workdir, *, callbacks, **options):
        workdir.mkdir(parents=True, exist_ok=True)
        metrics: dict[str, float] = {}
        # Each has its own entry: several threads may train at once.
        count = [workdir.name, 0]
        self._counts.append(count)
        for epoch in range(1, run.config.epochs + 1):
            if error := self.errors.pop((workdir.name, epoch), None):
                raise error
            count[1] = epoch
            metrics = {"accuracy": accuracy(run.config, epoch), "loss": 1.0}
            for callback in callbacks:
                callback.on_evaluation(10 * epoch, metrics)
        return SimpleNamespace(metrics=metrics)

    def score(self, run, trained):
        """Stands for the evaluation on the test split."""
        return {"accuracy": accuracy(run.config, run.config.epochs) - 0.1}


def cost(*run) -> Cost:
    return Cost(1, 900)
