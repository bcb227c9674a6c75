r"""Boxes: how well objects are localized and detected, and whether features carry over.

    python -m experiments.study --study=boxes --scale=localization --workdir=runs/localization
    python -m experiments.study --study=boxes --scale=bccd --workdir=runs/bccd

`localization` compares the two errors of a box, squared and smooth L1 (Girshick 2015, section 2.3),
on scenes of one digit. `bccd` compares a backbone that starts at random with one trained on
CIFAR-10, on photographs of blood cells. It needs a clone of
https://github.com/Shenggan/BCCD_Dataset in the working directory, and the run
`runs/simple_cnn_cifar10` of the configuration of that name.
"""

from ml_collections import ConfigDict

from cnnjax import studies
from cnnjax.configurations.dense import center_net_bccd, localizer_digit_scenes

SCALES = {
    "small": "squared and smooth L1 error of boxes on 640 scenes of one digit, 2 epochs",
    "localization": "squared and smooth L1 error of boxes on scenes of one digit",
    "bccd": "blood cells from scratch and with features of CIFAR-10",
}

EFFECT = 0.01
"""The smallest difference of two shares that counts."""


def get_study(scale: str) -> studies.Study:
    """Returns the study.

    Args:
        scale: one of `SCALES`.
    """
    return _blood_cells() if scale == "bccd" else _localization(scale)


def _localization(scale: str) -> studies.Study:
    losses = ("smooth-l1", "squared")
    # Squared errors of shares are small: their weight makes both losses alike for errors of 0.1.
    changes = [
        {"task.box_loss": "smooth_l1", "task.box_weight": 10.0},
        {"task.box_loss": "squared", "task.box_weight": 75.0},
    ]
    metrics = ("localization_accuracy", "accuracy", "box_accuracy", "mean_iou")
    return studies.Study(
        question="Does the smooth L1 error of boxes localize better than the squared one?",
        base=_few_scenes() if scale == "small" else localizer_digit_scenes.get_config(),
        factors=[studies.Factor("loss", list(zip(losses, changes, strict=True)))],
        seeds=(0, 1, 2),
        outcomes=[studies.Outcome(name, studies.metric(name), "%") for name in metrics],
        rule=_rule("loss", losses, "mean_iou", "smooth L1 gives boxes of a larger mean IoU"),
    )


def _blood_cells() -> studies.Study:
    started = {"model.weights": "runs/simple_cnn_cifar10", "model.part": "encoder"}
    starts = ("CIFAR-10", "scratch")
    return studies.Study(
        question="Do features of CIFAR-10 carry over to the detection of blood cells?",
        base=center_net_bccd.get_config(),
        factors=[studies.Factor("start", list(zip(starts, (started, {}), strict=True)))],
        seeds=(0, 1, 2),
        outcomes=[
            studies.Outcome(name, studies.metric(name), "%") for name in ("ap50", "ap", "ap75")
        ],
        rule=_rule("start", starts, "ap50", "features of CIFAR-10 raise AP50 on BCCD"),
    )


def _rule(factor: str, kinds: tuple[str, str], outcome: str, claim: str) -> studies.Rule:
    more, less = ({factor: kind} for kind in kinds)
    statement = f"{outcome}, {kinds[0]} over {kinds[1]}"
    return studies.Rule(claim, studies.Comparison(statement, outcome, more, less, EFFECT))


def _few_scenes() -> ConfigDict:
    config = localizer_digit_scenes.get_config()
    config.data.train_examples = 640
    config.epochs = 2
    return config
