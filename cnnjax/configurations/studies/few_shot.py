r"""Few-shot learning: do episodes teach features that separate new classes by a few examples?

    python -m experiments.study --study=few_shot --workdir=runs/few_shot

The classes are divided, by each seed anew, into base classes and novel ones. A prototypical network
(Snell et al., 2017) trains in episodes of base classes. The baseline trains the same encoder, with
a linear layer on top of it, to classify the base classes: equally many steps of equally many
images, the same optimizer. Then both embed test images of the novel classes, and the same random
episodes are scored by the nearest class mean. So are the pixels, without any training. Labels of
the novel classes are seen in the support of these episodes only.

The embedded digits have ten classes, too few to learn from. Two side by side are the numbers 00 to
99: 20 of them are base classes, 60 are novel, and with 20 the settings were chosen. Episodes have
20 classes. On MNIST and Fashion-MNIST base classes and their quarter turns are learned, and
episodes have 5 classes.

`--scale=paper` is section 3.1 of the paper: Omniglot at 28x28, 1,200 base classes with their turns
and 423 novel ones, training episodes of 60 classes. Published, 5-way 5-shot: 99.7 %.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import optax

from cnnjax import data, models, studies, tasks, training
from cnnjax.transfer import few_labels

SCALES = {
    "small": "15 runs: numbers of two embedded digits, 20 base classes and 60 novel ones",
    "mnist": "15 runs: MNIST and Fashion-MNIST, 15 base classes and 5 novel ones of the two",
    "trial": "6 runs of a few steps, whose verdict means nothing",
    "paper": "15 runs: Omniglot, 1,200 base classes and 423 novel ones",
}

EFFECT = 0.01
"""The smallest difference of two accuracies that counts: one per cent of the queries."""

METHODS = {
    "prototypes": {},
    "classifier": {"method": "classifier"},
    # Nothing is trained: the pixels are the embedding.
    "pixels": {"method": "pixels", "steps": 1},
}


def get_study(scale: str) -> studies.Study:
    """Returns the study.

    Args:
        scale: one of `SCALES`.
    """
    base = BASES[scale]
    ways = base["test_ways"]
    return studies.Study(
        question="Do episodes of base classes teach to recognize novel classes by few examples?",
        base=base,
        make_run=make_run,
        factors=[studies.Factor("method", METHODS)],
        seeds=(0, 1) if scale == "trial" else (0, 1, 2, 3, 4),
        outcomes=[
            studies.Outcome(
                "accuracy",
                lambda trained: score_of(base, 5, trained).accuracy,
                "%",
                help=f"of the nearest class mean, {ways} novel classes with 5 examples of each",
            ),
            studies.Outcome(
                "one_shot",
                lambda trained: score_of(base, 1, trained).accuracy,
                "%",
                help="the same with 1 example of each class",
            ),
            studies.Outcome(
                "interval",
                lambda trained: score_of(base, 5, trained).half,
                "%",
                help="half of the 95 % interval of a run's accuracy over its episodes",
            ),
        ],
        rule=_rule(base["shots"]),
        cadence=training.Cadence(log_every=50, checkpoint_every=100),
    )


def _rule(shots: int) -> studies.Rule:
    """Returns the rule; the claim is for as many examples as training episodes have."""
    outcomes = ["accuracy", "one_shot"] if shots == 5 else ["one_shot", "accuracy"]
    compared = [_compare(each, other) for other in ("classifier", "pixels") for each in outcomes]
    return studies.Rule(
        claim=f"by {shots} example(s) of each novel class, a network trained in episodes is more "
        "accurate than one trained to classify the base classes",
        primary=compared[0],
        others=compared[1:],
    )


def _compare(outcome: str, other: str) -> studies.Comparison:
    shots = {"accuracy": 5, "one_shot": 1}[outcome]
    return studies.Comparison(
        f"{shots}-shot accuracy, prototypical network over {other}",
        outcome,
        {"method": "prototypes"},
        {"method": other},
        at_least=EFFECT,
    )


def make_run(settings: Mapping[str, Any], context: studies.RunContext) -> training.Run:
    """Returns a run of the study.

    Args:
        settings: `base` with the changes of the run.
        context: where the images are.
    """
    train, test = (load(settings, split, context) for split in ("train", "test"))
    classes = divided(settings, context)
    base = few_labels.choose_classes(train, classes["base"])
    number = len(classes["base"])
    if settings["turned"]:
        base, number = few_labels.rotated_classes(base, number), 4 * number
    form = data.Episodes(settings["ways"], settings["shots"], settings["queries"])
    network = models.create_model("simple_cnn", number, widths=tuple(settings["widths"]))
    if settings["method"] == "classifier":
        names = tuple(map(str, range(number)))
        model, task, order = network, tasks.Classification(names), "shuffled"
        # What is evaluated while it trains: the base classes, not turned.
        evaluated = few_labels.choose_classes(test, classes["base"])
    else:
        model = _encoder(settings, network)
        task = few_labels.PrototypicalNets(form, _test_form(settings, 5), episodes=100)
        evaluated, order = few_labels.choose_classes(test, classes["novel"]), form
    stream = data.Stream(base, form.batch_size, settings["augmentation"], order=order)
    rate = optax.exponential_decay(settings["rate"], settings["halved_after"], 0.5, staircase=True)
    return training.Run(
        model=model,
        task=task,
        train=stream,
        test=evaluated,
        optimizer=optax.adam(rate),
        schedule=rate,
        epochs=max(round(settings["steps"] / stream.epoch_steps), 1),
        preprocess=data.Preprocess(resize=settings["resize"]),
        seed=settings["seed"],
        title=("simple_cnn", " and ".join(settings["data"])),
    )


def load(settings: Mapping[str, Any], split: str, context: studies.RunContext) -> data.Examples:
    """Returns the images of all sets as one, their classes numbered one set after the other.

    Args:
        settings: names the sets and the number of images of each class.
        split: "train" or "test".
        context: where the images are.
    """
    parts, first = [], 0
    for name in settings["data"]:
        dataset = data.dataset(name, context.data_dir)
        # A set whose own splits are of different classes is divided by class here, as a whole.
        splits = ("train", "test") if settings["both_splits"] else (split,)
        for each in splits:
            examples = data.load_examples(dataset, each, context.data_dir)
            positions, most = np.arange(len(examples)), settings["of_each_class"]
            if most is not None:
                positions = few_labels.split_labels(examples.column("label"), most).labeled
            chosen = examples.take(positions)
            parts.append({**chosen, "label": chosen["label"] + first})
        first += len(dataset.class_names)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in ("image", "label")}
    examples = data.from_arrays(**columns)
    if settings["pairs"]:
        return few_labels.paired_classes(examples, first, settings["pairs"])
    return examples


def divided(settings: Mapping[str, Any], context: studies.RunContext) -> dict[str, tuple[int, ...]]:
    """Returns the base classes, the novel ones and those by which settings were chosen.

    Args:
        settings: names the sets and the number of base classes.
        context: the run's seed, and where the images are.
    """
    sets = [data.dataset(name, context.data_dir) for name in settings["data"]]
    known = sum(len(dataset.class_names) for dataset in sets)
    classes: tuple[int, ...] = tuple(range(known**2 if settings["pairs"] else known))
    held: dict[str, tuple[int, ...]] = {}
    if number := settings["validation_classes"]:  # the same for all seeds, and novel in none
        sizes = {"validation": number, "others": len(classes) - number}
        held = few_labels.split_classes(classes, sizes, seed=0)
        classes = held.pop("others")
    sizes = {"base": settings["base_classes"]}
    sizes["novel"] = len(classes) - sizes["base"]
    return {**held, **few_labels.split_classes(classes, sizes, context.seed)}


def _encoder(settings: Mapping[str, Any], network: Any) -> few_labels.FeatureEncoder:
    """Returns the part of the network that embeds images: all of it but the last layer."""
    return few_labels.FeatureEncoder(network, f"stage{len(settings['widths'])}")


def _test_form(settings: Mapping[str, Any], shots: int) -> data.Episodes:
    return data.Episodes(settings["test_ways"], shots, settings["test_queries"])


def score_of(
    settings: Mapping[str, Any], shots: int, trained: studies.Trained, which: str = "novel"
) -> few_labels.EpisodeScore:
    """Returns the accuracy of the nearest class mean over episodes of classes not trained on.

    Args:
        settings: the study's base.
        shots: examples of each class.
        trained: the run.
        which: "novel"; or "validation", by which settings were chosen.
    """
    assert trained.context is not None  # runs of a study have one
    run, split = trained.run, "test" if which == "novel" else "train"
    classes = divided(settings, trained.context)[which]
    examples = few_labels.choose_classes(load(settings, split, trained.context), classes)
    if trained.context.labels.get("method") == "pixels":
        pixels = run.preprocess.images(examples.column("image"))
        rows = np.asarray(pixels).reshape(len(examples), -1)
    else:
        network = run.model
        if not isinstance(network, few_labels.FeatureEncoder):
            network = _encoder(settings, network)
        rows = few_labels.embed(network, trained.result.variables, examples, run.preprocess)
    return few_labels.score_episodes(
        rows, examples.column("label"), _test_form(settings, shots), settings["episodes"], seed=0
    )


VALIDATION = {
    f"{shots}_shot": lambda settings, trained, shots=shots: (
        score_of(settings, shots, trained, "validation").accuracy
    )
    for shots in (5, 1)
}
"""What settings were chosen by: measures of classes that are neither base nor novel."""

SMALL = {
    "method": "prototypes",
    "data": ["digits"],
    "both_splits": False,
    "of_each_class": None,
    "pairs": 40,
    "turned": False,
    "base_classes": 20,
    "validation_classes": 20,
    "widths": [16, 32, 64],
    "resize": None,
    "augmentation": "affine(rotation=10, scale=(0.9, 1.1), shift=1)",
    "ways": 20,
    "shots": 1,
    "queries": 5,
    "rate": 1e-3,
    "steps": 2000,
    "halved_after": 800,
    "test_ways": 20,
    "test_queries": 15,
    "episodes": 1000,
}

BASES = {
    "small": SMALL,
    "mnist": {
        **SMALL,
        "data": ["mnist", "fashion_mnist"],
        "of_each_class": 500,
        "pairs": 0,
        "turned": True,
        "base_classes": 15,
        "validation_classes": 0,
        "widths": [16, 32, 32, 64],
        "ways": 15,
        "test_ways": 5,
        "steps": 1000,
        "halved_after": 400,
    },
    "trial": {**SMALL, "steps": 2, "episodes": 20},
    "paper": {
        **SMALL,
        "data": ["omniglot"],
        "both_splits": True,
        "pairs": 0,
        "turned": True,
        "base_classes": 1200,
        "validation_classes": 0,
        "widths": [64, 64, 64, 64],
        "resize": 28,
        "augmentation": "",
        "shots": 5,
        "ways": 60,
        "test_ways": 5,
        "steps": 20_000,
        "halved_after": 2000,
    },
}
