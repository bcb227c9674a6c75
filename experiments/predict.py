"""Name the classes of images with a trained network.

python -m experiments.predict --workdir=runs/digits IMAGE [IMAGE ...]

An image is brought to the size and the colours of the dataset that the network was trained on.
Digits are light on dark there: give --invert for ink on paper.
"""

from collections.abc import Sequence

from absl import flags

from cnnjax import training
from experiments.launch import launch

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
_STEP = flags.DEFINE_integer("step", None, "Step of the checkpoint; the newest if not given.")
_TOP = flags.DEFINE_integer("top", 3, "Classes to name per image.", lower_bound=1)
_INVERT = flags.DEFINE_boolean("invert", False, "Swap light and dark.")


def main(arguments: Sequence[str]) -> None:
    """Predicts."""
    paths = arguments[1:]
    if not paths:
        raise training.ConfigError("no image was given; name one or more image files")
    run = training.load_run(_WORKDIR.value, _STEP.value)
    images = training.read_images(paths, run.plan.dataset.image_shape, _INVERT.value)
    for path, probabilities in zip(paths, run.predict(images), strict=True):
        best = (-probabilities).argsort(kind="stable")[: _TOP.value]
        named = ", ".join(f"{run.class_names[i]} {probabilities[i]:.2%}" for i in best)
        print(f"{path}: {named}")


if __name__ == "__main__":
    launch(main)
