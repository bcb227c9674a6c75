r"""Scaling: the error against the size of the training set, and a power law through it.

    python -m experiments.study --study=scaling --workdir=runs/scaling

The network of `label_curve` learns MNIST and Fashion-MNIST from 20 to 20,000 images. error =
alpha * size ** beta + gamma is fitted to all sizes but the largest, whose error is then compared
with the curve's 95 % band (Hestness et al., "Deep Learning Scaling is Predictable, Empirically",
2017; Rosenfeld et al. 2020). All runs have 312 steps of 64 images at a rate of 0.005, so that a
larger set means other images and not more of training; each seed draws its own, classes equally
often. Test images choose nothing.

Hestness et al. measured exponents from -0.07 to -0.35 on real tasks, where theory gives -0.5 or -1
for simple ones.

MNIST and Fashion-MNIST must be prepared: `cnnjax prepare mnist`.
"""

from cnnjax import studies
from cnnjax.configurations.studies import label_curve

SCALES = {
    "small": "7 sizes of 2 sets, 3 seeds each, the largest size held out of the fit",
    "tiny": "6 sizes of the embedded digits, 2 seeds and few steps",
}

SIZES = (20, 60, 200, 600, 2000, 6000, 20_000)
TINY_SIZES = (20, 40, 80, 160, 320, 640)
EFFECT = 0.01
"""The smallest difference of two errors that counts: one per cent of the images."""

BASE = {**label_curve.BASE, "rate": 5e-3, "epochs": 1, "epoch_steps": 312}


def get_study(scale: str) -> studies.Study:
    """Returns the study.

    Args:
        scale: one of `SCALES`.
    """
    tiny = scale == "tiny"
    sizes = TINY_SIZES if tiny else SIZES
    *_, third, second, largest = sizes
    sets = {"digits": {}} if tiny else {"mnist": {}, "fashion-mnist": {"data": "fashion_mnist"}}
    name = list(sets)[-1]
    if not tiny:
        sets["mnist"] = {"data": "mnist"}

    def compare(more: int, less: int) -> studies.Comparison:
        return studies.Comparison(
            f"test error on {name}, {more} images over {less}",
            "test_error",
            {"data": name, "images": more},
            {"data": name, "images": less},
            at_least=EFFECT,
        )

    return studies.Study(
        question="Does the error follow a power law of the number of training images?",
        base={**BASE, "epochs": 1, "epoch_steps": 30} if tiny else BASE,
        make_run=label_curve.make_run,
        factors=[
            studies.Factor("data", sets),
            studies.Factor("images", {size: {"labels": size} for size in sizes}),
        ],
        seeds=(0, 1) if tiny else (0, 1, 2),
        outcomes=[
            studies.Outcome("test_error", studies.error, "%", curve="images", guessing=0.9),
        ],
        rule=studies.Rule(
            f"more images still lower the error on {name} at the end of the sizes",
            compare(second, largest),
            others=[compare(third, second)],
        ),
    )
