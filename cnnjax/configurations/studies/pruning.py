r"""Pruning: 80 % of LeNet-5's weights are removed while a trained network trains on.

    cnnjax study --study=pruning --scale=mnist --workdir=runs/pruning

A dense LeNet-5 is trained once for each seed. Four networks follow: the dense one trained further
(the comparison for all others, with the same number of epochs), the smallest weights removed little
by little (Zhu and Gupta 2017), random weights removed at the same times, and a small dense LeNet-5
with as many weights from scratch, trained for all epochs.

The claim is the pessimistic one: that removing the smallest weights costs half a point or more.
Where 80 % of them can go for less, the verdict is "not supported".
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from ml_collections import ConfigDict

from cnnjax import compression, recipes, studies, training
from cnnjax.configurations import lenet5_digits, lenet5_mnist

SCALES = {
    "digits": "the embedded digits",
    "mnist": "MNIST, 12 epochs and then 6",
}

EFFECT = 0.005
"""The smallest difference of two errors that counts: half a point."""

SPARSITY = 0.8

SMALL = {
    "c1": {"features": 3},
    "c3": {"features": 8},
    "c5": {"features": 48},
    "f6": {"features": 36},
}
"""Widths for 12,468 parameters; without 80 % of its weights LeNet-5 has 12,530."""

_BASES = {"digits": (lenet5_digits.get_config, 60, 30), "mnist": (lenet5_mnist.get_config, 12, 6)}


def get_study(scale: str) -> studies.Study:
    """Returns the study.

    Args:
        scale: one of `SCALES`.
    """
    _, first, further = _BASES[scale]
    tuned = {"source": "dense", "epochs": further}
    networks = {
        "dense": tuned,
        "magnitude": {**tuned, "sparsity": SPARSITY},
        "random": {**tuned, "sparsity": SPARSITY, "by": "random"},
        "small": {"small": True, "epochs": first + further},
    }
    compare = partial(studies.compare, "network", "test_error", at_least=EFFECT)
    return studies.Study(
        question="Can 80 % of LeNet-5's weights be removed for less than half a point?",
        base={
            "scale": scale,
            "epochs": first,
            "source": "",
            "sparsity": 0.0,
            "by": "magnitude",
            "small": False,
        },
        make_run=make_run,
        sources=[studies.SourceRun("dense")],
        factors=[studies.Factor("network", networks)],
        seeds=(0, 1, 2),
        outcomes=[
            studies.Outcome("test_error", studies.error, "%"),
            studies.Outcome("weights", weights_left, help="weights that are not zero"),
        ],
        rule=studies.Rule(
            claim="to remove 80 % of LeNet-5's smallest weights costs half a point or more",
            primary=compare("magnitude", "dense"),
            others=[compare("random", "magnitude"), compare("small", "magnitude")],
        ),
    )


def make_run(settings: Mapping[str, Any], context: studies.RunContext) -> training.Run:
    """Returns one of the study's runs.

    Args:
        settings: its settings, those of the base with the run's changes.
        context: where its data and its sources are.
    """
    run = recipes.make_run(_config(settings), data_dir=context.data_dir, read=context.read)
    # With another start it is another run than the one that the configuration describes.
    run = run.replace(identity=None)
    if settings["source"]:
        run = run.replace(start=context.start(settings["source"], run.model))
    if not settings["sparsity"]:
        return run
    steps = run.total_steps
    gradual = compression.Gradual(
        settings["sparsity"],
        # The last third of the steps trains what is left.
        end=max(1, steps * 2 // 3),
        every=max(1, steps // 60),
        by=settings["by"],
        seed=settings["seed"],
    )
    return compression.gradually_pruned_run(run, gradual)


def _config(settings: Mapping[str, Any]) -> ConfigDict:
    config = _BASES[settings["scale"]][0]()
    config.epochs, config.seed = settings["epochs"], settings["seed"]
    if settings["source"]:
        config.optimizer.learning_rate = 1e-3
        config.schedule.warmup_epochs = 0.0
    if settings["small"]:
        with config.unlocked():
            config.model.overrides = {"layer_changes": SMALL}
    return config


def weights_left(trained: studies.Trained) -> float:
    """Returns how many of a network's weights are not zero, biases among them.

    Args:
        trained: the run.
    """
    params = trained.result.variables["params"]
    return float(compression.nonzero(params))
