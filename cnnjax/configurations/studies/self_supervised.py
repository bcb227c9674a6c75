r"""Self-supervised learning: are features learned without labels worth more than random ones?

    python -m experiments.study --study=self_supervised --workdir=runs/self_supervised

SimCLR (Chen et al., 2020) trains an encoder on images without their labels. Then the encoder is
frozen, its projection head is thrown away, and a linear probe is fitted to the features of a few
labeled images, in closed form. The same probe is fitted to the features of the same encoder with
random weights, whose batch statistics alone have seen the images; and the same encoder with a
linear layer is trained from scratch on the same labels, with the augmentation and the number of
steps of SimCLR.

SimCLR sees no label. The penalty of a probe is chosen on images that are held out, with their
labels; so were the settings. Test labels are seen once, at the end.

`--scale=paper` is a ResNet-18 with a stem for small images on CIFAR-10, with a linear probe on all
50,000 labels, for which reproductions report about 91 % (the paper's ResNet-50 has 94.0 %, appendix
B.9). It follows appendix B.9 but for these: momentum with a cosine in place of LARS, and color
changes of each image without the gray ones.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
import optax

from cnnjax import data, models, studies, tasks, training
from cnnjax.transfer import few_labels
from cnnjax.transfer.probes import fit_linear_probe

SCALES = {
    "small": "15 runs: the embedded digits, 10 labels of each class",
    "fashion": "15 runs: Fashion-MNIST at 14x14, 10 labels of each class",
    "trial": "6 runs of a few steps, whose verdict means nothing",
    "paper": "15 runs: ResNet-18 on CIFAR-10, a probe on all labels",
}

EFFECT = 0.01
"""The smallest difference of two errors that counts: one per cent of the images."""

METHODS = {
    "simclr": {},
    # One step at a rate of 0: the weights stay random.
    "random": {"method": "random", "rate": 0.0, "steps": 1},
    # Of the rates 0.1 and 0.5, the better one on the images that are held out.
    "supervised": {"method": "supervised", "rate": 0.1},
}


def get_study(scale: str) -> studies.Study:
    """Returns the study.

    Args:
        scale: one of `SCALES`.
    """
    base = BASES[scale]
    return studies.Study(
        question="Are features that SimCLR learns without labels better than random ones?",
        base=base,
        make_run=make_run,
        factors=[studies.Factor("method", METHODS)],
        seeds=(0, 1) if scale == "trial" else (0, 1, 2, 3, 4),
        outcomes=[
            studies.Outcome(
                "test_error",
                partial(error_of, base, "test"),
                "%",
                help="of the linear probe; of the network itself where it is trained on labels",
            ),
            studies.Outcome(
                "validation_error",
                partial(error_of, base, "validation"),
                "%",
                help="the same on the images that are held out",
            ),
        ],
        rule=studies.Rule(
            claim="a linear probe of SimCLR's features has a lower test error than one of random "
            "features",
            primary=_compare("random features over SimCLR's", "random", "simclr"),
            others=[_compare("supervised learning over SimCLR", "supervised", "simclr")],
        ),
        # An epoch of a few images is short.
        cadence=training.Cadence(log_every=50, checkpoint_every=50),
    )


def _compare(statement: str, more: str, less: str) -> studies.Comparison:
    return studies.Comparison(
        f"test error, {statement}",
        "test_error",
        {"method": more},
        {"method": less},
        at_least=EFFECT,
    )


def make_run(settings: Mapping[str, Any], context: studies.RunContext) -> training.Run:
    """Returns a run of the study.

    Args:
        settings: `base` with the changes of the run.
        context: where the images are.
    """
    dataset = data.dataset(settings["data"], context.data_dir)
    parts = divided(settings, context)
    classes = len(dataset.class_names)
    network = models.create_model(settings["network"], classes, **settings["overrides"])
    policy, batch, steps = (settings[name] for name in ("policy", "batch_size", "steps"))
    if settings["method"] == "supervised":
        model, task = network, tasks.Classification(dataset.class_names)
        size = min(batch, len(parts["labeled"]))
        stream = few_labels.repeated_stream(parts["labeled"], size, policy, epoch_steps=50)
    else:
        encoder = few_labels.FeatureEncoder(network, settings["layer"], average=True)
        model = few_labels.ProjectedEncoder(encoder, **settings["head"])
        task = few_labels.SimCLR(temperature=settings["temperature"])
        stream = few_labels.simclr_stream(parts["train"], batch, policy)
    rate = optax.warmup_cosine_decay_schedule(
        0.0, settings["rate"], max(steps // 50, 1), max(steps, 2)
    )
    return training.Run(
        model=model,
        task=task,
        train=stream,
        optimizer=partial(_optimizer, rate, settings["decay"]),
        schedule=rate,
        epochs=math.ceil(steps / stream.epoch_steps),
        preprocess=data.Preprocess(resize=settings["resize"], mean=dataset.mean, std=dataset.std),
        seed=settings["seed"],
        title=(settings["network"], dataset.name),
    )


def _optimizer(rate: optax.Schedule, decay: float, params: Any) -> Any:
    kernels = jax.tree.map(lambda leaf: leaf.ndim > 1, params)
    return optax.chain(
        optax.add_decayed_weights(decay, mask=kernels), optax.sgd(rate, momentum=0.9)
    )


def divided(settings: Mapping[str, Any], context: studies.RunContext) -> dict[str, data.Examples]:
    """Returns the images of training, those of them with labels, and those that are held out.

    Images that are held out are the same for all seeds; each seed has labels of its own.

    Args:
        settings: names the set and the sizes.
        context: where the images are.
    """
    dataset = data.dataset(settings["data"], context.data_dir)
    examples = data.load_examples(dataset, "train", context.data_dir)
    order = np.random.default_rng(0).permutation(len(examples))
    held = settings["validation_examples"]
    train = data.choose(examples, np.sort(order[held:][: settings["train_examples"]]))
    labeled = train
    if settings["labels"] is not None:
        split = few_labels.split_labels(train.column("label"), settings["labels"], context.seed)
        labeled = data.choose(train, split.labeled)
    validation = data.choose(examples, np.sort(order[:held]))
    return {"train": train, "labeled": labeled, "validation": validation}


def error_of(settings: Mapping[str, Any], split: str, trained: studies.Trained) -> float:
    """Returns the error of what a run has learned.

    Args:
        settings: the study's base.
        split: "test" or "validation".
        trained: the run.
    """
    assert trained.context is not None  # runs of a study have one
    dataset = data.dataset(settings["data"], trained.context.data_dir)
    parts = divided(settings, trained.context)
    if split == "test":
        parts["test"] = data.load_examples(dataset, "test", trained.context.data_dir)
    run, variables = trained.run, trained.result.variables
    if isinstance(run.model, few_labels.ProjectedEncoder):
        model, own = run.model.encoder, few_labels.encoder_variables(variables)
    else:
        model, own = run.model, variables
    wanted = {"labeled", "validation", split} if own is not variables else {split}
    rows = {name: few_labels.embed(model, own, parts[name], run.preprocess) for name in wanted}
    labels = {name: parts[name].column("label") for name in wanted}
    if own is variables:
        return 1 - float((rows[split].argmax(axis=1) == labels[split]).mean())
    probe = fit_linear_probe(
        rows["labeled"],
        labels["labeled"],
        classes=len(dataset.class_names),
        validation=(rows["validation"], labels["validation"]),
    )
    return 1 - probe.accuracy(rows[split], labels[split])


VALIDATION = {
    "validation_error": lambda settings, trained: error_of(settings, "validation", trained)
}
"""What settings were chosen by: measures of the images that are held out."""

SMALL = {
    "method": "simclr",
    "data": "digits",
    "labels": 10,
    "train_examples": None,
    "validation_examples": 237,
    "network": "simple_cnn",
    "overrides": {"widths": [16, 32, 64], "head": "average"},
    "layer": "stage3",
    "head": {"hidden": 64, "outputs": 32},
    "resize": None,
    "policy": "affine(rotation=15, scale=(0.8, 1.2), shift=1)",
    "batch_size": 256,
    "temperature": 0.2,
    "rate": 0.5,
    "decay": 1e-4,
    "steps": 1000,
}

BASES = {
    "small": SMALL,
    "fashion": {
        **SMALL,
        "data": "fashion_mnist",
        "train_examples": 10_000,
        "validation_examples": 1_000,
        "resize": 14,
        "policy": "resized_crop(area=(0.3, 1.0)), flip, color_jitter(0.5, 0.5)",
    },
    "trial": {**SMALL, "steps": 4},
    "paper": {
        **SMALL,
        "data": "cifar10",
        "labels": None,
        "validation_examples": 5_000,
        "network": "resnet18",
        "overrides": {"stem": "cifar"},
        "layer": "pooled",
        "head": {"hidden": 512, "outputs": 128},
        "policy": "resized_crop(area=(0.08, 1.0)), flip, color_jitter(0.4, 0.4, 0.4, 0.1)",
        "batch_size": 512,
        "temperature": 0.5,
        "rate": 0.6,
        "steps": 88_000,
    },
}
