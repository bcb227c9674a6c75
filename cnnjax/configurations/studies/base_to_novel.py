r"""Base to novel classes: do features of other classes help where a class has few labels?

    python -m experiments.study --study=base_to_novel --workdir=runs/base_to_novel

The classes are divided at random, for each seed anew, into base classes with all their labels and
novel ones with 1 or 5 labels each. Two kinds of runs take equally many steps of equally many
images, with the same network, augmentation, optimizer and rate:

- `features`: the network learns the base classes and never sees a novel one. Its features of the
  novel classes' few labeled images are then classified in closed form: by the nearest class mean,
  and by ridge regression, whose strength is chosen by leaving out one labeled image at a time;
- `scratch`: the network learns the novel classes from the same few labels: the baseline.

Errors are those on all test images of the novel classes, whose labels touch no choice: settings
were chosen on images of base classes, two of which were taken as novel ones.

`--scale=paper` is CIFAR-100 with 64 base, 16 unused and 20 novel classes, as in CIFAR-FS
(Bertinetto et al. 2019), whose classes are divided here by the seed. Its table 2 has, for networks
of four convolutions with 64 maps that are trained by few-shot tasks, in tasks of 5 novel classes
with 1 and 5 labels: prototypical nets 55.5 % and 72.0 % right, ridge regression 60.0 % and 76.1 %.
`task_error` is the error of the nearest class mean in such tasks.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optax

from cnnjax import data, models, studies, tasks, training, transfer
from cnnjax.transfer import domains, few_labels

SCALES = {
    "small": "20 runs: the embedded digits, 6 base and 4 novel classes, 1 and 5 labels",
    "fashion": "20 runs: Fashion-MNIST at 14x14, 6 base and 4 novel classes, 1 and 5 labels",
    "cifar10": "20 runs: 20,000 images of CIFAR-10, 6 base and 4 novel classes, 1 and 5 labels",
    "paper": "20 runs: CIFAR-100, 64 base and 20 novel classes, 1 and 5 labels",
    "trial": "4 runs of a few steps, whose verdict means nothing",
}

EFFECT = 0.01
"""The smallest difference of two errors that counts: one per cent of the images."""

STARTS = {"features": {}, "scratch": {"start": "scratch"}}


def get_study(scale: str) -> studies.Study:
    """Returns the study.

    Args:
        scale: one of `SCALES`.
    """
    base = BASES[scale]
    counts = {"trial": (5,)}.get(scale, (1, 5))
    novel = functools.partial(novel_error, base)
    measured = {
        "nearest_mean_error": (
            functools.partial(novel, domains.nearest_means),
            "on novel classes, by the nearest class mean of the features",
        ),
        "ridge_error": (
            functools.partial(novel, domains.ridge_classes),
            "on novel classes, by ridge regression of the features",
        ),
        "pixels_error": (
            functools.partial(pixels_error, base),
            "on novel classes, by the nearest class mean of the pixels, without a network",
        ),
        "task_error": (
            functools.partial(task_error, base),
            "of the nearest class mean in tasks of some novel classes",
        ),
        "own_error": (studies.error, "of the network, on held-out base or on novel test images"),
    }
    return studies.Study(
        question="Do features of other classes help where a class has few labels?",
        base=base,
        make_run=make_run,
        factors=[
            studies.Factor("start", STARTS),
            studies.Factor("labels", {str(count): {"labels": count} for count in counts}),
        ],
        seeds=(0, 1) if scale == "trial" else (0, 1, 2, 3, 4),
        outcomes=[
            studies.Outcome(name, measure, "%", help=text)
            for name, (measure, text) in measured.items()
        ],
        rule=studies.Rule(
            claim="with 5 labels, features of base classes beat learning from scratch",
            primary=_compare("nearest_mean_error", 5),
            others=[
                _compare(outcome, count)
                for outcome in ("nearest_mean_error", "ridge_error")
                for count in counts
                if (outcome, count) != ("nearest_mean_error", 5)
            ],
        ),
    )


def _compare(outcome: str, count: int) -> studies.Comparison:
    return studies.Comparison(
        f"{outcome}, scratch over features, labels of a class: {count}",
        outcome,
        {"start": "scratch", "labels": count},
        {"start": "features", "labels": count},
        at_least=EFFECT,
    )


def make_run(settings: Mapping[str, Any], context: studies.RunContext) -> training.Run:
    """Returns a run of the study.

    Args:
        settings: the base with the changes of the run.
        context: where the images are.
    """
    scratch = settings["start"] == "scratch"
    sets, split = make_sets(settings, context)
    names = split.names("novel" if scratch else "base", data.dataset(settings["data"]).class_names)
    examples, batch = sets.labeled if scratch else sets.base, settings["batch_size"]
    # Both kinds of runs have epochs of one length: few images are repeated, many are all there.
    epoch_steps = max(settings["epoch_steps"], len(sets.base) // batch)
    repeated = data.choose(examples, np.resize(np.arange(len(examples)), epoch_steps * batch))
    stream = data.Stream(repeated, batch, settings["augmentation"], order="balanced")
    epochs = max(settings["epoch_steps"] * settings["epochs"] // epoch_steps, 1)
    steps = epochs * epoch_steps
    schedule = optax.cosine_decay_schedule(settings["rate"], steps)
    return training.Run(
        model=models.create_model("simple_cnn", len(names), **settings["network"]),
        task=tasks.Classification(names),
        train={"labeled": stream},
        test=sets.test if scratch else sets.held_out,
        split="test" if scratch else "validation",
        optimizer=optax.adam(schedule),
        schedule=schedule,
        epochs=epochs,
        preprocess=data.Preprocess(
            resize=settings["resize"], mean=tuple(settings["mean"]), std=tuple(settings["std"])
        ),
        seed=settings["seed"],
        title=("simple_cnn", f"{settings['data']}, {'novel' if scratch else 'base'} classes"),
    )


def novel_error(settings: Mapping[str, Any], classify: Callable, trained: studies.Trained) -> float:
    """Returns the error of a run on the test images of the novel classes.

    Args:
        settings: the study's base.
        classify: from features and labels of few images, and features of others, to classes. A
            network that has learned from scratch classifies by itself.
        trained: the run.
    """
    if _context(trained).labels["start"] == "scratch":
        return studies.error(trained)
    rows = functools.partial(_features, settings, trained)
    return _classified(settings, classify, trained, rows)


def pixels_error(settings: Mapping[str, Any], trained: studies.Trained) -> float:
    """Returns the error of the nearest class mean of the network's inputs on the novel classes.

    Args:
        settings: the study's base.
        trained: the run.
    """

    def pixels(examples: data.Examples) -> np.ndarray:
        inputs = trained.run.preprocess.images(examples.column("image"))
        return np.asarray(inputs).reshape(len(examples), -1)

    return _classified(settings, domains.nearest_means, trained, pixels)


def task_error(settings: Mapping[str, Any], trained: studies.Trained) -> float:
    """Returns the error of the nearest class mean in 600 tasks drawn of the novel test images.

    Args:
        settings: the study's base.
        trained: the run.
    """
    sets = _sets(settings, trained)
    shots = int(_context(trained).labels["labels"])
    form = data.Episodes(settings["ways"], shots, settings["queries"])
    rows = _features(settings, trained, sets.test)
    return 1 - few_labels.score_episodes(rows, sets.test.column("label"), form).accuracy


def _classified(
    settings: Mapping[str, Any],
    classify: Callable,
    trained: studies.Trained,
    rows: Callable[[data.Examples], np.ndarray],
) -> float:
    sets = _sets(settings, trained)
    found = classify(rows(sets.labeled), sets.labeled.column("label"), rows(sets.test))
    return float((found != sets.test.column("label")).mean())


def _features(
    settings: Mapping[str, Any], trained: studies.Trained, examples: data.Examples
) -> np.ndarray:
    return transfer.layer_features(
        trained.run.model,
        trained.result.variables,
        examples,
        settings["feature"],
        preprocess=trained.run.preprocess,
        pooling=settings["pooling"],
    )


def _context(trained: studies.Trained) -> studies.RunContext:
    assert trained.context is not None  # of a study's run
    return trained.context


def _sets(settings: Mapping[str, Any], trained: studies.Trained) -> domains.NovelSets:
    context = _context(trained)
    return make_sets({**settings, "labels": int(context.labels["labels"])}, context)[0]


def make_sets(
    settings: Mapping[str, Any], context: studies.RunContext
) -> tuple[domains.NovelSets, domains.ClassSplit]:
    """Returns the sets of a run and its classes, which are the same for all runs of a seed.

    Args:
        settings: the study's base, with the number of labels.
        context: the seed, and where the images are.
    """
    dataset = data.dataset(settings["data"])
    train = data.load_examples(dataset, "train", context.data_dir)
    test = data.load_examples(dataset, "test", context.data_dir)
    if settings["train_examples"]:
        train = data.choose(train, range(settings["train_examples"]))
    found = few_labels.split_classes(range(dataset.num_classes), settings["classes"], context.seed)
    split = domains.ClassSplit(found["base"], found["novel"])
    return domains.novel_sets(train, test, split, settings["labels"], context.seed), split


SMALL = {
    "start": "features",
    "labels": 5,
    "data": "digits",
    "classes": {"base": 6, "novel": 4},
    "train_examples": None,
    "network": {"widths": [16, 32, 64]},
    "feature": "stage3",
    "pooling": "flatten",
    "resize": None,
    "augmentation": "crop(1)",
    "batch_size": 32,
    "epoch_steps": 100,
    "epochs": 6,
    "rate": 0.01,
    **{"mean": [0.3], "std": [0.38]},
    **{"ways": 4, "queries": 15},
}

BASES: dict[str, dict[str, Any]] = {
    "small": SMALL,
    "fashion": {
        **SMALL,
        "data": "fashion_mnist",
        "train_examples": 10_000,
        "resize": 14,
        "augmentation": "crop(1), flip",
        "mean": [0.29],
        "std": [0.35],
    },
    "cifar10": {
        **SMALL,
        "data": "cifar10",
        "train_examples": 20_000,
        "augmentation": "crop(2), flip",
        "batch_size": 64,
        "epochs": 8,
        "rate": 0.003,
        "mean": [0.49, 0.48, 0.45],
        "std": [0.25, 0.24, 0.26],
    },
    "trial": {**SMALL, "epoch_steps": 2, "epochs": 1},
    "paper": {
        **SMALL,
        "data": "cifar100",
        "classes": {"base": 64, "unused": 16, "novel": 20},
        "network": {"widths": [64, 64, 64, 64]},
        "feature": "stage4",
        "augmentation": "crop(4), flip",
        "batch_size": 64,
        "epoch_steps": 400,
        "epochs": 90,
        "mean": [0.507, 0.487, 0.441],
        "std": [0.267, 0.256, 0.276],
        "ways": 5,
    },
}
