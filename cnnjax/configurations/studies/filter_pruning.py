r"""Filter pruning: 30 % of the multiply-adds are saved, and the network trains on.

    cnnjax study --study=filter_pruning --scale=resnet20 --workdir=runs/filter_pruning_resnet20
    cnnjax study --study=filter_pruning --scale=vgg11 --workdir=runs/filter_pruning_vgg11

A network is trained once for each seed. Four follow: the whole one trained further (the comparison
for all others, with the same number of epochs), the one without its smallest filters, the one
without random channels, and the smaller network from scratch for all epochs. Li et al. 2017, table
1: ResNet-56 has an error of 6.96 %, of 6.94 % with 27.6 % fewer operations, and of 8.69 % from
scratch. How much faster the smaller networks are: `python -m scripts.benchmarks.compression.speed
--multiple 8`.

The claim is the pessimistic one: that the smaller network's error is a point higher or more.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from cnnjax import analysis, compression, recipes, studies, training
from cnnjax.configurations import resnet8_digits, resnet20_cifar10

SCALES = {
    "digits": "ResNet-8 on the embedded digits",
    "resnet20": "ResNet-20 on 10,000 images of CIFAR-10, 15 epochs and then 5",
    "vgg11": "VGG-11 on 5,000 images of CIFAR-10 at 32x32, 8 epochs and then 3",
}

EFFECT = 0.01
"""The smallest difference of two errors that counts: one point."""

SAVED = 0.3
"""The share of the multiply-adds that is saved."""

MULTIPLE = 8
"""Of so many channels a multiple stays in each layer, so that the network is faster, too."""

EPOCHS = {"digits": (20, 8), "resnet20": (15, 5), "vgg11": (8, 3)}
"""Epochs of the first training, and of the further one."""


def get_study(scale: str) -> studies.Study:
    """Returns the study.

    Args:
        scale: one of `SCALES`.
    """
    first, further = EPOCHS[scale]
    tuned = {"source": "dense", "epochs": further}
    networks = {
        "dense": tuned,
        "filters": {**tuned, "saved": SAVED},
        "random": {**tuned, "saved": SAVED, "by": "random"},
        "scratch": {"saved": SAVED, "epochs": first + further},
    }
    compare = partial(studies.compare, "network", "test_error", at_least=EFFECT)
    return studies.Study(
        question="Can 30 % of the multiply-adds be saved for less than one point?",
        base={"scale": scale, "epochs": first, "source": "", "saved": 0.0, "by": "l1"},
        make_run=make_run,
        sources=[studies.SourceRun("dense")],
        factors=[studies.Factor("network", networks)],
        seeds=(0, 1, 2),
        outcomes=[
            studies.Outcome("test_error", studies.error, "%"),
            studies.Outcome("multiply_adds", multiply_adds, help="for one image"),
        ],
        rule=studies.Rule(
            claim="to save 30 % of the multiply-adds costs one point or more",
            primary=compare("filters", "dense"),
            others=[compare("random", "filters"), compare("scratch", "filters")],
        ),
    )


def make_run(settings: Mapping[str, Any], context: studies.RunContext) -> training.Run:
    """Returns one of the study's runs.

    Args:
        settings: its settings, those of the base with the run's changes.
        context: where its data and its sources are.
    """
    run = recipes.make_run(_config(settings), data_dir=context.data_dir, read=context.read)
    # With another network or start it is another run than the one that the configuration describes.
    run = run.replace(identity=None)
    source = settings["source"]
    if not settings["saved"]:
        return run.replace(start=context.start(source, run.model)) if source else run
    height, width, channels = run.image_shape
    start = compression.PrunedStart(
        run.model,
        context.weights(source) if source else Path(),
        (height, width, channels),
        multiply_adds=settings["saved"],
        multiple=MULTIPLE,
        by=settings["by"],
        seed=settings["seed"],
    )
    return run.replace(model=start.model, start=start if source else None)


def _config(settings: Mapping[str, Any]) -> ConfigDict:
    scale = settings["scale"]
    config = resnet8_digits.get_config() if scale == "digits" else resnet20_cifar10.get_config()
    if scale != "digits":
        config.schedule.name = "cosine"
        config.schedule.boundaries = ()
        config.schedule.factor = None
        config.schedule.warmup_epochs = 1.0
        config.data.train_examples = 10_000 if scale == "resnet20" else 5_000
    if scale == "vgg11":
        config.model.name = "vgg11_bn"
        config.optimizer.learning_rate = 0.05
    config.epochs, config.seed = settings["epochs"], settings["seed"]
    if settings["source"]:
        config.optimizer.learning_rate = config.optimizer.learning_rate / 10
        config.schedule.warmup_epochs = 0.0
    return config


def multiply_adds(trained: studies.Trained) -> float:
    """Returns the multiply-adds of a run's network for one image.

    Args:
        trained: the run.
    """
    summary = analysis.summarize(trained.run.model, trained.run.image_shape, kept=False)
    return float(summary.multiply_adds)
