"""Predict images with trained networks, such as their classes.

cnnjax predict --workdir=runs/digits IMAGE_OR_FOLDER [IMAGE_OR_FOLDER ...]

Of folders, all images beneath them are predicted. An image is brought to the size and the colors of
the dataset that the network was trained on. Digits are light on dark there: give --invert for ink
on paper. Damaged images are reported, and the exit code is then 4.

A network of the registry with weights from a file or a hub, and ImageNet's classes in English:

cnnjax predict --model=resnet50 --weights=resnet50.safetensors photo.jpg
cnnjax predict --model=resnet50 --weights=hub:resnet50 photo.jpg

Of a network that segments, --output=FOLDER gets a mask of each file, NAME_mask.png, whose pixels
are labels, and the file under the labels' colors, NAME_overlay.png.

Of a network that finds objects, --output=boxes.json has all boxes in pixels of each file, and
--overlays=FOLDER gets the images with their boxes drawn on them.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from cnnjax import inference, training
from cnnjax.commands.exit_codes import INPUT_ERROR
from cnnjax.commands.flags.max_pixels import read_max_pixels
from cnnjax.commands.flags.views import read_ensemble
from cnnjax.commands.launch import launch

_TOP = flags.DEFINE_integer("top", 3, "Classes to name for each image.", lower_bound=1)
_INVERT = flags.DEFINE_boolean("invert", False, "Swap light and dark.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "File for the predictions, .csv or .json; or a folder for masks."
)
_OVERLAYS = flags.DEFINE_string(
    "overlays", None, "Folder for the images with the predicted boxes or masks drawn on them."
)


def main(arguments: Sequence[str]) -> None:
    """Prints the predictions of each image, and writes them to a file.

    Args:
        arguments: the program's name, and the images and folders.
    """
    if not arguments[1:]:
        raise training.ConfigError("no image was given; name one or more image files or folders")
    output, masks = _outputs()
    overlays = inference.check_folder(_OVERLAYS.value) if _OVERLAYS.value else None
    paths = inference.find_images(arguments[1:])
    ensemble = read_ensemble()
    if masks is not None:
        inference.check_mask_folder(masks, ensemble)
    predictions = []
    for prediction in inference.predict_files(
        ensemble,
        paths,
        top=_TOP.value,
        invert=_INVERT.value,
        max_pixels=read_max_pixels(),
    ):
        # Standard output holds predictions alone, so that it can be piped.
        print(prediction, file=sys.stderr if prediction.problem else sys.stdout)
        predictions.append(prediction)
    if output is not None:
        inference.write_predictions(output, predictions)
    if masks is not None:
        inference.write_masks(masks, predictions, read_max_pixels())
    if overlays is not None:
        inference.write_overlays(overlays, predictions, read_max_pixels())
    if any(prediction.problem for prediction in predictions):
        sys.exit(INPUT_ERROR)


def _outputs() -> tuple[Path | None, Path | None]:
    """Returns the file of --output, and its folder; one of them at most is not None."""
    given = _OUTPUT.value
    if not given:
        return None, None
    # A name without an ending, or an existing folder, is a folder.
    if not Path(given).suffix or Path(given).is_dir():
        return None, Path(given)
    return inference.check_output(given, [".csv", ".json"]), None


def run() -> None:
    """Runs the command on the process's own arguments."""
    launch(main)
