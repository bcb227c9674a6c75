"""A study that makes its own runs: of a network that compiles in no time, on noise."""

from typing import Any

import numpy as np
import optax

from cnnjax import data, studies, tasks, training
from tests.studies.tiny_net import TinyNet

STARTS = studies.Factor(
    "start", {"scratch": {}, "near": {"source": "near"}, "far": {"source": "far"}}
)
NEAR = studies.SourceRun("near", {"classes": 3})
FAR = studies.SourceRun("far", {"epochs": 2})


def make_run(settings, context):
    classes = settings["classes"]
    generator = np.random.default_rng(0)
    examples = data.from_arrays(
        image=generator.integers(0, 256, (16, 8, 8, 1), np.uint8),
        label=np.arange(16) % classes,
    )
    model, start = TinyNet(classes), None
    if settings["source"]:
        start = context.start(settings["source"], model, fresh=["head/.*"])
    return training.Run(
        model=model,
        task=tasks.Classification(class_names=tuple("abcd"[:classes])),
        train=examples,
        test=examples,
        optimizer=optax.sgd(0.1),
        batch_size=8,
        epochs=settings["epochs"],
        frozen=["conv/.*"] if start else [],
        start=start,
        seed=settings["seed"],
    )


def get_study(**changes) -> studies.Study:
    """Returns a study of three starts and two seeds, with some fields changed."""
    compared = studies.Comparison(
        "scratch over near", "loss", {"start": "scratch"}, {"start": "near"}
    )
    fields: dict[str, Any] = {
        "question": "Is a start near?",
        "base": {"source": "", "classes": 4, "epochs": 1},
        "factors": [STARTS],
        "seeds": (0, 1),
        "outcomes": [studies.Outcome("loss", studies.metric("loss"), "nats")],
        "rule": studies.Rule("near helps", compared),
        "make_run": make_run,
        "sources": [NEAR, FAR],
    }
    return studies.Study(**{**fields, **changes})
