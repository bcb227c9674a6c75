"""A search of tiny runs for tests."""

from cnnjax import studies, training
from tests.studies.tiny_study import FOUR

SCALES = {"three": "3 trials of 2 epochs", "eight": "8 trials of 4 epochs, the bad ones end early"}


def get_study(scale):
    eight = scale == "eight"
    return studies.Search(
        question="Which rate suits a tiny network?",
        base={**FOUR, "epochs": 4 if eight else 2},
        space={
            "optimizer.learning_rate": studies.LogUniform(1e-5, 1e-1),
            "optimizer.name": studies.Choices(["adam", "sgd"]),
        },
        trials=8 if eight else 3,
        pruning=studies.Halving(1, 2) if eight else None,
        seeds=(0, 1),
        cadence=training.Cadence(log_every=1),
    )
