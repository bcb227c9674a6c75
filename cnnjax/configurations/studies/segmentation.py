r"""Segmentation: does pooling pay, at equal cost, and by how much is a gray threshold beaten?

    python -m experiments.study --study=segmentation --workdir=runs/segmentation

A U-Net of base width 16 and a network without pooling, of as many multiply-adds an image, learn the
same scenes of real digits at 64x64 by the same recipe. A gray threshold is measured on the same
test scenes: the better one of Otsu's for each image and a common one, chosen on the training
scenes. It finds ink and no classes, so that its foreground IoU is compared.

The control compares the U-Net with itself under other seeds.
"""

import numpy as np
from jaxtyping import Bool, Int, UInt8
from ml_collections import ConfigDict

from cnnjax import studies
from cnnjax.configurations.dense import unet_digit_scenes

SCALES = {
    "whole": "4,000 scenes of 64x64 pixels, 6 epochs: minutes a run",
    "trial": "64 scenes of 32x32 pixels, 1 epoch: seconds a run, whose verdict means nothing",
}

EFFECT = 0.10
"""The smallest difference of two IoUs that counts."""

NETWORKS = {
    "unet": {},
    "naive": {"model.name": "naive_dense", "model.overrides": {"norm": "batch"}},
    # Seeds that no other run has.
    "control": {"seed": 1000},
}


def get_study(scale: str) -> studies.Study:
    """Returns the study.

    Args:
        scale: one of `SCALES`.
    """
    return studies.Study(
        question="Does a network with pooling segment better than one without, at equal cost?",
        base=BASES[scale](),
        factors=[studies.Factor("network", NETWORKS)],
        seeds=(0, 1, 2),
        outcomes=[
            studies.Outcome("mean_iou", studies.metric("mean_iou"), "%"),
            studies.Outcome("foreground_iou", studies.metric("foreground_iou"), "%"),
            studies.Outcome(
                "threshold_iou",
                threshold_iou,
                "%",
                help="foreground IoU of a gray threshold on the same test scenes",
            ),
            studies.Outcome(
                "lead_over_threshold",
                lead_over_threshold,
                "%",
                help="the network's foreground IoU less the threshold's",
            ),
        ],
        rule=studies.Rule(
            claim="at equal cost, a U-Net has a higher mean IoU than a network without pooling",
            primary=_compare("mean IoU of the U-Net over the naive network", "mean_iou", "naive"),
            others=[
                _compare(
                    "foreground IoU of the U-Net over the naive network", "foreground_iou", "naive"
                )
            ],
            control=_compare("mean IoU of the U-Net over other seeds", "mean_iou", "control"),
        ),
    )


def _compare(statement: str, outcome: str, other: str) -> studies.Comparison:
    return studies.Comparison(
        statement, outcome, {"network": "unet"}, {"network": other}, at_least=EFFECT
    )


def lead_over_threshold(trained: studies.Trained) -> float:
    """Returns the network's foreground IoU less that of a gray threshold.

    Args:
        trained: the run.
    """
    return trained.result.metrics["foreground_iou"] - threshold_iou(trained)


def threshold_iou(trained: studies.Trained) -> float:
    """Returns the foreground IoU of the better one of two gray thresholds on the test scenes.

    Args:
        trained: the run, whose examples are used.
    """
    train, test = trained.run.main.examples, trained.run.test
    assert test is not None  # a run of a configuration has examples to evaluate
    images, ink = train.column("image")[..., 0], train.column("mask") > 0
    shown, truth = test.column("image")[..., 0], test.column("mask") > 0
    common = found(shown, *best_threshold(images, ink))
    # Whether ink is lighter than the ground is chosen on the training scenes too.
    above = _above_otsu(images)
    lighter = iou(above, ink) >= iou(~above, ink)
    return max(iou(common, truth), iou(_above_otsu(shown) == lighter, truth))


def _above_otsu(
    images: UInt8[np.ndarray, "scenes height width"],
) -> Bool[np.ndarray, "scenes height width"]:
    return np.stack([image > otsu_threshold(image) for image in images])


def best_threshold(
    images: UInt8[np.ndarray, "scenes height width"], ink: Bool[np.ndarray, "scenes height width"]
) -> tuple[int, bool]:
    """Returns the common threshold with the highest foreground IoU, and whether ink is lighter.

    Args:
        images: gray values.
        ink: which pixels are ink.
    """
    counts = [np.bincount(images[ink == value], minlength=256) for value in (True, False)]
    # Pixels above each threshold from 0 to 255, of the ink and of the ground.
    inside, outside = (count.sum() - np.cumsum(count) for count in counts)
    total, ground = counts[0].sum(), counts[1].sum()
    lighter = inside / (total + outside)
    darker = (total - inside) / (total + ground - outside)
    places = int(lighter.argmax()), int(darker.argmax())
    return (places[0], True) if lighter.max() >= darker.max() else (places[1], False)


def found(
    images: UInt8[np.ndarray, "scenes height width"], threshold: int, lighter: bool
) -> Bool[np.ndarray, "scenes height width"]:
    """Returns the pixels that a threshold takes for ink.

    Args:
        images: gray values.
        threshold: lighter pixels are above it.
        lighter: whether ink is lighter than the ground.
    """
    return (images > threshold) == lighter


def otsu_threshold(image: UInt8[np.ndarray, "height width"]) -> int:
    """Returns the threshold with the largest variance between dark and light pixels.

    Args:
        image: gray values.

    Source: Otsu 1979.
    """
    counts: Int[np.ndarray, 256] = np.bincount(image.ravel(), minlength=256)
    dark = np.cumsum(counts)
    light = counts.sum() - dark
    sums = np.cumsum(counts * np.arange(256))
    between = np.zeros(256)
    both = (dark > 0) & (light > 0)
    means = sums[both] / dark[both] - (sums[-1] - sums[both]) / light[both]
    between[both] = dark[both] * light[both] * means**2
    return int(between.argmax())


def iou(guess: Bool[np.ndarray, "*places"], truth: Bool[np.ndarray, "*places"]) -> float:
    """Returns the intersection over the union of two sets of pixels.

    Args:
        guess: one of them.
        truth: the other.
    """
    return float((guess & truth).sum() / (guess | truth).sum())


def _trial() -> ConfigDict:
    config = unet_digit_scenes.get_config()
    config.model.overrides.base = 2
    config.data.name = "digit_scenes/32_1"
    config.data.train_examples = 64
    config.data.validation_examples = 32
    config.epochs = 1
    return config


BASES = {"whole": unet_digit_scenes.get_config, "trial": _trial}
