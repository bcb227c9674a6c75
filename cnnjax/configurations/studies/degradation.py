r"""Degradation: a deeper network without shortcuts trains to a higher error (He et al. 2015).

    python -m experiments.study --study=degradation --workdir=runs/degradation

Section 4.1 of "Deep Residual Learning for Image Recognition" compares plain and residual networks
that differ in their shortcuts alone: the deeper plain network has the higher *training* error, so
that overfitting is not the reason. Section 4.2 repeats it on CIFAR-10, with networks of 20, 32, 44
and 56 layers, which are those of `--scale=paper`.

Besides both errors, the norm of the gradient by each layer's kernel at the start is measured. The
control compares the shallowest plain network with itself under other seeds.
"""

from ml_collections import ConfigDict

from cnnjax import recipes, studies
from cnnjax.configurations import resnet8_digits, resnet20_cifar10

SCALES = {
    "small": "the embedded digits at 16x16, 8, 20 and 44 layers",
    "fashion": "10,000 images of Fashion-MNIST at 16x16, 8, 20 and 44 layers",
    "cifar10": "10,000 images of CIFAR-10, 20, 32 and 44 layers",
    "paper": "CIFAR-10 by the paper's recipe, 20, 32, 44 and 56 layers",
}

EFFECT = 0.01
"""The smallest difference of two errors that counts: one per cent of the images."""


def get_study(scale: str) -> studies.Study:
    """Returns the study.

    Args:
        scale: one of `SCALES`.
    """
    shallow, *_, deep = depths = DEPTHS[scale]
    networks = [(kind, depth) for kind in ("plain", "resnet") for depth in depths]
    changes = [{"model.name": f"{kind}{depth}_cifar"} for kind, depth in networks]
    # The control: the first network again, with seeds that no other run has.
    control = {"model.name": f"plain{shallow}_cifar", "seed": 1000}
    kinds = [*((kind, {}) for kind, _ in networks), ("control", {})]
    layers = [*zip((depth for _, depth in networks), changes, strict=True), (shallow, control)]
    return studies.Study(
        question="Does depth without shortcuts raise the training error?",
        base=BASES[scale](),
        factors=[studies.Paired([studies.Factor("kind", kinds), studies.Factor("depth", layers)])],
        seeds=(0, 1, 2),
        outcomes=[
            studies.Outcome("training_error", studies.training_error, "%"),
            studies.Outcome("test_error", studies.error, "%"),
            studies.Outcome(
                "gradient_norms",
                studies.gradient_norms,
                help="norm of the gradient by each layer's kernel before the first step",
            ),
        ],
        rule=_rule(shallow, deep),
    )


def _rule(shallow: int, deep: int) -> studies.Rule:
    def compare(statement: str, outcome: str, more: tuple, less: tuple) -> studies.Comparison:
        sides = [{"kind": kind, "depth": depth} for kind, depth in (more, less)]
        return studies.Comparison(statement, outcome, *sides, at_least=EFFECT)

    return studies.Rule(
        claim=f"plain networks of {deep} layers train to a higher error than those of {shallow}",
        primary=compare(
            f"training error of plain networks, {deep} layers over {shallow}",
            "training_error",
            ("plain", deep),
            ("plain", shallow),
        ),
        others=[
            compare(
                f"test error of plain networks, {deep} layers over {shallow}",
                "test_error",
                ("plain", deep),
                ("plain", shallow),
            ),
            compare(
                f"training error of {deep} layers, plain over residual",
                "training_error",
                ("plain", deep),
                ("resnet", deep),
            ),
            compare(
                f"training error of residual networks, {deep} layers over {shallow}",
                "training_error",
                ("resnet", deep),
                ("resnet", shallow),
            ),
        ],
        control=compare(
            f"training error of plain networks of {shallow} layers, other seeds over these",
            "training_error",
            ("control", shallow),
            ("plain", shallow),
        ),
    )


def _small() -> ConfigDict:
    config = resnet8_digits.get_config()
    config.epochs = 10
    return config


def _fashion() -> ConfigDict:
    config = resnet8_digits.get_config()
    config.data.name = "fashion_mnist"
    config.data.augmentation = "crop(2), flip"
    config.data.train_examples = 10_000
    config.epochs = 3
    return config


def _cifar10() -> ConfigDict:
    config = resnet20_cifar10.get_config()
    config.data.train_examples = 10_000
    config.schedule = recipes.default_config().schedule
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 1.0
    config.epochs = 5
    return config


DEPTHS = {
    "small": (8, 20, 44),
    "fashion": (8, 20, 44),
    "cifar10": (20, 32, 44),
    "paper": (20, 32, 44, 56),
}

BASES = {
    "small": _small,
    "fashion": _fashion,
    "cifar10": _cifar10,
    "paper": resnet20_cifar10.get_config,
}
