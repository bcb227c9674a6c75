r"""Accuracy against the number of labels: from scratch, and from a near and a far source.

    python -m experiments.study --study=label_curve --workdir=runs/label_curve

A small network learns handwritten digits from 20 to 1,437 labels, classes equally often, from
scratch or from weights of MNIST (near) or Fashion-MNIST (far), of which it trains the classifier
alone (frozen) or all layers (tuned). `near1000` is tuned from 1,000 images of MNIST in place of
20,000. The sources' labels are all seen, of the target those that are counted; its test images are
evaluated, and choose nothing. All runs have 264 steps of 64 images at 16x16, moved by up to one
pixel, each image normalized on its own; few examples are repeated. Every seed draws other labels.

At full data, the steps to 95 % of a run's own final accuracy measure how fast it learns (He,
Girshick and Dollar, "Rethinking ImageNet Pre-training", 2019).

The rates of Adam are the best of four by the error on 200 validation digits with 100 labels, for
each arm: --scale=tuning. MNIST and Fashion-MNIST must be prepared: `cnnjax prepare mnist`.
"""

import functools
from collections.abc import Mapping
from typing import Any

import optax

from cnnjax import data, models, studies, tasks, training
from cnnjax.transfer.equal_steps import balanced_positions, repeat_examples

SCALES = {
    "curve": "6 starts x 5 numbers of labels x 5 seeds, and 3 sources for each seed",
    "tuning": "4 rates x 5 starts x 2 seeds on validation digits, and 2 sources for each seed",
    "small": "2 starts x 2 numbers of labels x 2 seeds of 22 steps; digits are their own source",
}

RATES = {"scratch": 1e-2, "frozen": 1e-2, "tuned": 1e-2}
"""Adam's rate by what is trained."""

LABELS = (20, 50, 100, 300, 1437)
VALIDATION = 200
BATCH = 64
EFFECT = 0.02
"""The smallest difference of two errors that counts: two per cent of the images."""

BASE = {
    "data": "digits",
    "labels": 1437,
    "validation": False,
    "source": "",
    "train": "scratch",
    "rate": 1e-2,
    "epochs": 12,
    "epoch_steps": 22,
}


def get_study(scale: str) -> studies.Study:
    """Returns the study.

    Args:
        scale: one of `SCALES`.
    """
    if scale == "tuning":
        return _tuning()
    small = scale == "small"
    counts = (20, 50) if small else LABELS
    starts = ("scratch", "near-tuned") if small else STARTS
    labels = {f"{count}": {"labels": count} for count in counts}
    return studies.Study(
        question="How many labels do pretrained features save?",
        base={**BASE, "epochs": 1} if small else BASE,
        make_run=make_run,
        sources=_sources(small),
        factors=[
            studies.Factor("start", {name: _start(name) for name in starts}),
            studies.Factor("labels", labels),
        ],
        seeds=(0, 1) if small else (0, 1, 2, 3, 4),
        outcomes=_outcomes(),
        rule=_rule(few=counts[1], all_labels=counts[-1], small=small),
    )


STARTS = ("scratch", "near-frozen", "near-tuned", "far-frozen", "far-tuned", "near1000-tuned")
"""The source and what is trained."""


def _start(name: str) -> dict[str, Any]:
    source, _, train = name.rpartition("-")
    return {"source": source, "train": train, "rate": RATES[train]}


def _sources(small: bool) -> list[studies.SourceRun]:
    if small:
        return [studies.SourceRun("near", {"labels": 300})]
    # An epoch takes all of 20,000 images but the last 32; 1,000 are repeated to as many steps.
    settings = {"rate": 5e-3, "epochs": 2, "epoch_steps": 312}
    return [
        studies.SourceRun(name, {"data": name_of_data, "labels": count, **settings})
        for name, name_of_data, count in (
            ("near", "mnist", 20_000),
            ("far", "fashion_mnist", 20_000),
            ("near1000", "mnist", 1_000),
        )
    ]


def _outcomes() -> list[studies.Outcome]:
    return [
        studies.Outcome("test_error", studies.error, "%", curve="labels"),
        studies.Outcome(
            "steps_to_95",
            studies.steps_to("accuracy", 0.95),
            "steps",
            help="to 95 % of the run's own final accuracy, between evaluations by a straight line",
        ),
    ]


def _rule(few: int, all_labels: int, small: bool) -> studies.Rule:
    def compare(statement: str, more: tuple, less: tuple, outcome: str = "test_error", size=EFFECT):
        sides = [{"start": start, "labels": labels} for start, labels in (more, less)]
        return studies.Comparison(statement, outcome, *sides, at_least=size)

    primary = compare(
        f"test error with {few} labels, from scratch over tuned from MNIST",
        ("scratch", few),
        ("near-tuned", few),
    )
    claim = f"with {few} labels, weights of MNIST lower the error on digits"
    if small:
        return studies.Rule(claim, primary)
    return studies.Rule(
        claim,
        primary,
        others=[
            compare(
                f"test error with {few} labels, from scratch over tuned from Fashion-MNIST",
                ("scratch", few),
                ("far-tuned", few),
            ),
            compare(
                f"test error with {few} labels, tuned from Fashion-MNIST over from MNIST",
                ("far-tuned", few),
                ("near-tuned", few),
            ),
            compare(
                f"test error with {few} labels, tuned from 1,000 over from 20,000 images of MNIST",
                ("near1000-tuned", few),
                ("near-tuned", few),
            ),
            compare(
                "test error with all labels, from scratch over tuned from MNIST",
                ("scratch", all_labels),
                ("near-tuned", all_labels),
            ),
            compare(
                "steps to 95 % with all labels, from scratch over tuned from MNIST",
                ("scratch", all_labels),
                ("near-tuned", all_labels),
                "steps_to_95",
                10.0,
            ),
        ],
    )


def _tuning() -> studies.Study:
    rates = {f"{rate:g}": {"rate": rate} for rate in (1e-3, 3e-3, 1e-2, 3e-2)}
    changes = {name: _start(name) for name in STARTS[:5]}
    starts = {name: {k: v for k, v in c.items() if k != "rate"} for name, c in changes.items()}
    any_rate, another = list(rates)[:2]
    return studies.Study(
        question="Which rate suits each start?",
        base={**BASE, "labels": 100, "validation": True},
        make_run=make_run,
        sources=_sources(small=False)[:2],
        factors=[studies.Factor("start", starts), studies.Factor("rate", rates)],
        seeds=(100, 101),
        outcomes=[studies.Outcome("validation_error", studies.error, "%")],
        rule=studies.Rule(
            "the rate matters",
            studies.Comparison(
                f"validation error from scratch, a rate of {any_rate} over {another}",
                "validation_error",
                {"start": "scratch", "rate": any_rate},
                {"start": "scratch", "rate": another},
            ),
        ),
    )


def make_run(settings: Mapping[str, Any], context: studies.RunContext) -> training.Run:
    """Returns a run of the study.

    Args:
        settings: `BASE` with the changes of a run.
        context: of the run.
    """
    train, test = (_load(settings["data"], split, context.data_dir) for split in ("train", "test"))
    seed = settings["seed"]
    if settings["validation"]:
        held_out = balanced_positions(train.column("label"), VALIDATION)
        test, train = data.choose(train, held_out), _without(train, held_out)
    chosen = balanced_positions(train.column("label"), settings["labels"], seed)
    model = models.create_model("simple_cnn", 10, widths=(16, 32, 64), head="average")
    frozen = settings["train"] == "frozen"
    source = settings["source"]
    return training.Run(
        model=model,
        task=tasks.Classification(class_names=tuple(map(str, range(10)))),
        train=repeat_examples(data.choose(train, chosen), BATCH * settings["epoch_steps"], seed),
        test=test,
        split="validation" if settings["validation"] else "test",
        optimizer=optax.adam(settings["rate"]),
        batch_size=BATCH,
        epochs=settings["epochs"],
        augmentation="shift(1)",
        preprocess=data.Preprocess(resize=16, per_image=True),
        frozen=[("classifier/.*", False), (".*", True)] if frozen else (),
        start=context.start(source, model, fresh=["classifier/.*"]) if source else None,
        seed=seed,
        title=("simple_cnn", settings["data"]),
    )


def _without(examples: data.Examples, positions: Any) -> data.Examples:
    return data.choose(examples, sorted(set(range(len(examples))) - set(positions.tolist())))


@functools.lru_cache
def _load(name: str, split: str, data_dir: str | None) -> data.Examples:
    return data.load_examples(data.dataset(name, data_dir), split, data_dir)
