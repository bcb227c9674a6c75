r"""Domain adaptation: does DANN learn from images of the target domain without their labels?

    python -m experiments.study --study=domain_adaptation --workdir=runs/domain_adaptation

A network learns digits of the source domain with their labels. DANN (Ganin et al. 2016) also sees
digits of the target domain, without labels. Three kinds of runs take equally many steps with
equally many labeled digits of the same size, augmentation, optimizer and rate:

- `source-only` sees the source alone: the baseline;
- `dann` sees the source, and images of the target;
- `target` sees the target with its labels: what could be reached.

No digit is both in the source and in the target, nor in training and test. Optimizer, rates, batch
and reversal are the paper's, so that labels of the target touch no choice; the network is smaller.

`--scale=paper` is the experiment of section 5.2.4, figure 4(a): MNIST to MNIST-M, of which the
paper's table 2 gives 52.25 % right for the source alone, 76.66 % for DANN and 95.96 % for training
on the target. It needs the photographs of BSDS500 in `BSDS500/data/images/train` of the working
directory. As in the paper, each MNIST-M digit is one of MNIST's.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import optax

from cnnjax import data, models, studies, tasks, training
from cnnjax.training.loop.evaluation import make_evaluator
from cnnjax.transfer import domains, few_labels

SCALES = {
    "small": "15 runs: the embedded digits at 16x16 to digits blended with photographs",
    "mnist": "15 runs: 6,000 digits of MNIST at 16x16 to such digits blended with photographs",
    "mnist_digits": "15 runs: 6,000 digits of MNIST to the embedded digits, 16x16",
    "paper": "15 runs: MNIST to MNIST-M by the paper's recipe",
    "trial": "6 runs of a few steps, whose verdict means nothing",
}

EFFECT = 0.01
"""The smallest difference of two errors that counts: one per cent of the images."""

METHODS = {"source-only": {}, "dann": {"method": "dann"}, "target": {"method": "target"}}


class Sets(NamedTuple):
    """The sets of a study.

    Attributes:
        source: labeled images to train on.
        held_out: further ones of the source, for validation.
        target: images to adapt to, whose labels only the runs `target` see.
        source_test: test images in the look of the source.
        target_test: test images in the look of the target.
    """

    source: data.Examples
    held_out: data.Examples
    target: data.Examples
    source_test: data.Examples
    target_test: data.Examples


def get_study(scale: str) -> studies.Study:
    """Returns the study.

    Args:
        scale: one of `SCALES`.
    """
    base = BASES[scale]
    return studies.Study(
        question="Does DANN learn from images of the target domain without their labels?",
        base=base,
        make_run=make_run,
        factors=[studies.Factor("method", METHODS)],
        seeds=(0, 1) if scale == "trial" else (0, 1, 2, 3, 4),
        outcomes=[
            studies.Outcome(
                "target_error",
                functools.partial(error_on, base, "target_test"),
                "%",
                help="on test images of the target domain",
            ),
            studies.Outcome(
                "source_error",
                functools.partial(error_on, base, "source_test"),
                "%",
                help="on test images of the source domain",
            ),
            studies.Outcome(
                "validation_error",
                studies.error,
                "%",
                help="on the digits that are held out of training",
            ),
        ],
        rule=studies.Rule(
            claim="DANN has a lower error in the target domain than training on the source alone",
            primary=_compare("the source alone over DANN", "target_error", "source-only", "dann"),
            others=[
                _compare("DANN over labels of the target", "target_error", "dann", "target"),
                _compare("DANN over the source alone", "source_error", "dann", "source-only"),
            ],
        ),
    )


def _compare(statement: str, outcome: str, more: str, less: str) -> studies.Comparison:
    where = outcome.replace("_error", " domain")
    return studies.Comparison(
        f"error in the {where}, {statement}",
        outcome,
        {"method": more},
        {"method": less},
        at_least=EFFECT,
    )


def make_run(settings: Mapping[str, Any], context: studies.RunContext) -> training.Run:
    """Returns a run of the study.

    Args:
        settings: the base with the changes of the run.
        context: where the images are.
    """
    sets = make_sets(settings, context.data_dir)
    method, batch, policy = (settings[name] for name in ("method", "batch_size", "augmentation"))
    labeled = sets.target if method == "target" else sets.source
    streams = {"source": data.Stream(labeled, batch, policy)}
    steps = settings["epochs"] * streams["source"].epoch_steps
    names = data.dataset(settings["source"]).class_names
    network = models.create_model("simple_cnn", len(names), **settings["network"])
    model, task = network, tasks.Classification(names)
    if method == "dann":
        model = domains.AdversarialNet(network, settings["feature"], (settings["head"],))
        task = domains.DomainAdversarial(names, total_steps=steps, strength=settings["strength"])
        unlabeled = few_labels.hide_labels(sets.target)
        streams[domains.UNLABELED] = data.Stream(unlabeled, batch, policy)
    schedule = domains.annealed_rate(steps, settings["rate"])
    return training.Run(
        model=model,
        task=task,
        train=streams,
        test=sets.held_out,
        split="validation",
        optimizer=optax.sgd(schedule, momentum=0.9),
        schedule=schedule,
        epochs=settings["epochs"],
        preprocess=data.Preprocess(
            resize=settings["resize"], mean=tuple(settings["mean"]), std=tuple(settings["std"])
        ),
        seed=settings["seed"],
        title=("simple_cnn", f"{settings['source']} to {settings['look']}"),
    )


def error_on(settings: Mapping[str, Any], which: str, trained: studies.Trained) -> float:
    """Returns the error of a run on one of the test sets.

    Args:
        settings: the study's base.
        which: the set's name in `Sets`.
        trained: the run.
    """
    assert trained.context is not None  # runs of a study have one
    run = trained.run
    examples = getattr(make_sets(settings, trained.context.data_dir), which)
    evaluate = make_evaluator(run.model, run.task, run.preprocess, examples)
    return 1 - evaluate(trained.result.variables, trained.result.task_state)["accuracy"]


def make_sets(settings: Mapping[str, Any], data_dir: str | None) -> Sets:
    """Returns the sets of a study, which are the same for all of its runs and seeds.

    Args:
        settings: the study's base.
        data_dir: TFDS data folder; None means TFDS's default.
    """
    names = ("source", "target", "look", "size", "photographs", "train_examples", "shared")
    # A dictionary cannot be a key of a cache.
    return _sets(json.dumps({name: settings[name] for name in names}), data_dir)


@functools.lru_cache(maxsize=2)
def _sets(settings: str, data_dir: str | None) -> Sets:
    chosen = json.loads(settings)
    train, test = (
        data.load_examples(data.dataset(chosen["source"]), split, data_dir)
        for split in ("train", "test")
    )
    order = np.random.default_rng(0).permutation(len(train))[: chosen["train_examples"]]
    held = len(order) // 6
    held_out, rest = data.choose(train, order[:held]), data.choose(train, order[held:])
    if chosen["target"]:
        other = data.dataset(chosen["target"])
        source, target, target_test = (
            rest,
            data.load_examples(other, "train", data_dir),
            data.load_examples(other, "test", data_dir),
        )
    else:
        # No digit is in both domains, unless the paper has it so.
        source, target = (rest, rest) if chosen["shared"] else domains.disjoint_parts(rest, 2)
        target_test = test
    before, plain, changed = looks(chosen)
    as_source, as_target = (*before, *plain), (*before, *changed)
    return Sets(
        domains.shift(source, *as_source),
        domains.shift(held_out, *as_source),
        domains.shift(target, *as_target),
        domains.shift(test, *as_source),
        domains.shift(target_test, *as_target),
    )


def looks(settings: Mapping[str, Any]) -> tuple[tuple[domains.Transform, ...], ...]:
    """Returns the transforms of both domains, then of the source alone and of the target alone.

    Args:
        settings: with the look of the target, the size and the photographs.
    """
    before = (domains.Resized(settings["size"]),) if settings["size"] else ()
    if settings["look"] == "blended":
        folder = settings["photographs"]
        # Small digits are blended with small photographs, so that a cut shows some of them.
        shrink = 1 if folder else 64 // (settings["size"] or 28)
        photographs = domains.photographs(folder or None, shrink)
        return before, (domains.RGB(),), (domains.Blended(photographs),)
    return before, (), LOOKS[settings["look"]]


LOOKS: dict[str, tuple[domains.Transform, ...]] = {
    "as it is": (),
    "inverted": (domains.Inverted(),),
    "noisy": (domains.Noisy(0.3),),
    "blurred": (domains.Blurred(1.5),),
}
"""Of the target; "blended" needs photographs."""

SMALL = {
    "method": "source",
    "source": "digits",
    "target": "",
    "look": "blended",
    "size": 16,
    "photographs": "",
    "train_examples": None,
    "shared": False,
    "network": {"widths": [16, 32], "kernel": 5, "norm": "none", "hidden": [64]},
    "feature": "stage2",
    "head": 100,
    "strength": 1.0,
    "augmentation": "",
    "batch_size": 64,
    "epochs": 160,
    "rate": 0.01,
    "resize": None,
    "mean": [0.25],
    "std": [0.35],
}

MNIST = {
    **SMALL,
    "source": "mnist",
    "train_examples": 7_200,
    "epochs": 32,
    "mean": [0.13],
    "std": [0.31],
}

BASES: dict[str, dict[str, Any]] = {
    "small": SMALL,
    "mnist": MNIST,
    "mnist_digits": {**MNIST, "target": "digits", "look": "as it is", "epochs": 16},
    "trial": {**SMALL, "epochs": 1},
    "paper": {
        **MNIST,
        "size": 0,
        "train_examples": None,
        "shared": True,
        "photographs": "BSDS500/data/images/train",
        "network": {
            "widths": [32, 48],
            "kernel": 5,
            "norm": "none",
            "hidden": [100, 100],
            "padding": "VALID",
        },
        "epochs": 128,
    },
}
