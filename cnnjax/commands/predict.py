"""Name the classes of images with trained networks.

cnnjax predict --workdir=runs/digits IMAGE_OR_FOLDER [IMAGE_OR_FOLDER ...]

Of folders, all images beneath them are named. An image is brought to the size and the colors of
the dataset that the network was trained on. Digits are light on dark there: give --invert for ink
on paper. Damaged images are named, and the exit code is then 4.
"""

import sys
from collections.abc import Sequence

from absl import flags

from cnnjax import training
from cnnjax.commands.exit_codes import INPUT_ERROR
from cnnjax.commands.flags.networks import read_ensemble
from cnnjax.commands.launch import launch

_TOP = flags.DEFINE_integer("top", 3, "Classes to name per image.", lower_bound=1)
_INVERT = flags.DEFINE_boolean("invert", False, "Swap light and dark.")
_OUTPUT = flags.DEFINE_string("output", None, "File for the predictions, .csv or .json.")


def main(arguments: Sequence[str]) -> None:
    """Predicts."""
    if not arguments[1:]:
        raise training.ConfigError("no image was given; name one or more image files or folders")
    output = training.check_output(_OUTPUT.value, [".csv", ".json"]) if _OUTPUT.value else None
    paths = training.find_images(arguments[1:])
    answers = []
    for answer in training.answer_files(
        read_ensemble(), paths, top=_TOP.value, invert=_INVERT.value
    ):
        print(answer, file=sys.stderr if answer.problem else sys.stdout)
        answers.append(answer)
    if output is not None:
        training.write_answers(output, answers)
    if any(answer.problem for answer in answers):
        sys.exit(INPUT_ERROR)


def run() -> None:
    """Runs the command on the process's own arguments."""
    launch(main)
