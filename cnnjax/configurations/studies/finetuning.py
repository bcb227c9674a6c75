r"""Fine-tuning on photographs: from scratch, with frozen features, and with all layers trained.

    python -m experiments.study --study=finetuning --workdir=runs/finetuning

The configuration `finetune_folder` on small photographs of clothes (ten classes, 3,068 to train on
and 372 of the list `test`; https://github.com/alexeygrigorev/clothing-dataset-small, CC0), with the
network of `simple_cnn_cifar10` at 48x48 pixels in place of ResNet-18 at 224. The folder
`clothing-dataset-small` and the run `runs/simple_cnn_cifar10` are read from the working directory.

CIFAR-10 has no clothes among its classes. All runs have eight epochs and the same augmentation. The
rate of each start is the best of four (0.001, 0.005, 0.02, 0.08) by the error on 400 validation
photographs of the training list. `imagenet` is the same at full size from published weights.
"""

from functools import partial
from typing import Any

from ml_collections import ConfigDict

from cnnjax import studies
from cnnjax.configurations import finetune_folder
from cnnjax.configurations.dense.simple_cnn_cifar10 import STAGES

SCALES = {
    "cifar10": "3 starts x 3 seeds at 48x48, from the run runs/simple_cnn_cifar10",
    "imagenet": "3 starts x 3 seeds of ResNet-18 at 224x224, from published weights",
}

RATES = {
    "cifar10": {"scratch": 5e-3, "frozen": 8e-2, "tuned": 2e-2},
    "imagenet": {"scratch": 1e-3, "frozen": 1e-3, "tuned": 1e-3},
}

EFFECT = 0.02
"""The smallest difference of two errors that counts: two per cent of the photographs."""


def get_study(scale: str) -> studies.Study:
    """Returns the study.

    Args:
        scale: one of `SCALES`.
    """
    starts = {start: _start(start, rate) for start, rate in RATES[scale].items()}

    compare = partial(studies.compare, "start", "test_error", at_least=EFFECT)
    return studies.Study(
        question="Do pretrained features help with photographs of clothes?",
        base=_small() if scale == "cifar10" else _full(),
        factors=[studies.Factor("start", starts)],
        seeds=(0, 1, 2),
        outcomes=[
            studies.Outcome("test_error", studies.error, "%"),
            studies.Outcome("test_loss", studies.metric("loss"), "nats"),
        ],
        rule=studies.Rule(
            "fine-tuned weights have a lower error than weights from scratch",
            compare("scratch", "tuned"),
            others=[compare("frozen", "tuned"), compare("frozen", "scratch")],
        ),
    )


def _start(start: str, rate: float) -> dict[str, Any]:
    changes: dict[str, Any] = {"optimizer.learning_rate": rate}
    if start == "tuned":
        return changes
    changes["optimizer.unfreeze"] = ()
    if start == "frozen":
        return changes | {"optimizer.frozen": (("classifier/.*", False), (".*", True))}
    return changes | {"optimizer.layer_decay": 1.0, "model.weights": "", "model.fresh": ()}


def _full() -> ConfigDict:
    config = finetune_folder.get_config()
    config.data.name = "folder:clothing-dataset-small"
    return config


def _small() -> ConfigDict:
    config = _full()
    config.model.name = "simple_cnn"
    config.model.overrides = {**STAGES, "head": "average"}
    config.model.weights = "runs/simple_cnn_cifar10"
    config.data.resize = 56
    config.data.crop = 48
    config.data.normalization = "dataset"
    config.optimizer.unfreeze = (("classifier/.*", 0), (".*", 1))
    config.epochs = 8
    return config
