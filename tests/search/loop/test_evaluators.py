from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnnjax import search
from cnnjax.search.loop import evaluators

NET: Any = "net"
"""What stands for a network."""


def sets():
    """Returns three sets of two, three and four images."""
    parts = [
        (np.full((n, 2, 2, 1), n, np.float32), np.arange(n, dtype=np.int32)) for n in (2, 3, 4)
    ]
    return search.Sets(*parts)


@pytest.fixture
def trainings(monkeypatch):
    """The calls of the quick training, which classifies two images of each set correctly."""
    calls = []

    def train(net, train, measured, seeds, training):
        calls.append((net, train, measured, tuple(seeds), training))
        return {name: [2] * len(seeds) for name in measured}

    monkeypatch.setattr(evaluators, "train_quickly", train)
    return calls


def test_the_score_is_an_accuracy_on_held_out_examples(trainings, tmp_path):
    quick = search.QuickEvaluator(sets, seeds=(0, 1))
    assert quick.score(NET, 7, tmp_path) == pytest.approx(2 / 3)
    net, train, measured, seeds, training = trainings[0]
    assert (net, seeds, training) == ("net", (0, 1), search.QuickTraining())
    assert len(train[1]) == 2
    assert list(measured) == ["validation"]


def test_the_chosen_cell_is_trained_on_all_but_the_test_examples(trainings, tmp_path):
    final = search.QuickTraining(epochs=99)
    quick = search.QuickEvaluator(sets, final=final)
    assert quick.test(NET, 5, tmp_path) == {"accuracy": 2 / 4}
    _, (images, labels), measured, seeds, training = trainings[0]
    assert labels.tolist() == [0, 1, 0, 1, 2]
    assert images[:, 0, 0, 0].tolist() == [2, 2, 3, 3, 3]
    assert (list(measured), seeds, training) == (["test"], (5,), final)


def make_run(net, seed) -> Any:
    """Returns what stands for a run."""
    return ("run", net, seed)


def make_final_run(net, seed) -> Any:
    """Returns what stands for a run with the test split."""
    return ("final", net, seed)


def test_runs_are_scored_by_their_metric(monkeypatch, tmp_path):
    fitted = []

    def fit(run, folder, progress):
        fitted.append((run, folder))
        return SimpleNamespace(metrics={"loss": np.float32(0.25), "accuracy": 0.5})

    monkeypatch.setattr(evaluators, "fit", fit)
    runs = search.RunEvaluator(make_run, make_final_run, metric="loss", sign=-1)
    assert runs.score(NET, 3, tmp_path) == -0.25
    assert runs.test(NET, 4, tmp_path) == {"loss": 0.25, "accuracy": 0.5}
    assert fitted == [(("run", "net", 0), tmp_path), (("final", "net", 4), tmp_path)]
    described = runs.describe()
    assert described["make_run"] == "tests.search.loop.test_evaluators:make_run"
    with pytest.raises(search.SearchError, match="no 'error'; it has accuracy, loss"):
        search.RunEvaluator(make_run, make_final_run, metric="error").score(NET, 0, tmp_path)
    with pytest.raises(search.SearchError, match="sign: 0"):
        search.RunEvaluator(make_run, make_final_run, sign=0)
