"""Files of predicted masks: labels with a palette, and overlays."""

from collections.abc import Iterable
from pathlib import Path

from cnnjax.data.read.decode import MAX_PIXELS
from cnnjax.inference.box_pictures import check_folder, readable
from cnnjax.inference.ensemble import Ensemble
from cnnjax.inference.files import FilePrediction, output_errors
from cnnjax.inference.mask_pictures import draw_mask, whole_mask
from cnnjax.tasks.segmentation.drawing import mask_png
from cnnjax.training.errors import ConfigError
from cnnjax.writing import aside


def check_mask_folder(path: Path, ensemble: Ensemble) -> None:
    """Refuses a folder for masks where the networks predict none, or it cannot be made.

    Args:
        path: the folder.
        ensemble: the networks.

    Raises:
        ConfigError: the task is no segmentation, or the folder cannot be made.
    """
    if ensemble.task.named_by != "mask":
        raise ConfigError(
            f"--output: {path} does not end in .csv or .json; a folder is for masks, and this "
            "network does not segment: give a file that ends so"
        )
    check_folder(path, "--output")


def write_masks(
    folder: Path, predictions: Iterable[FilePrediction], max_pixels: int = MAX_PIXELS
) -> list[Path]:
    """Writes `NAME_mask.png` and `NAME_overlay.png` for each image file that can be read.

    A mask has the size of its image. Its pixels are labels, with a palette that shows them in
    colors; pixels that the network did not see have the label 255.

    Args:
        folder: an existing folder.
        predictions: those of `predict_files`.
        max_pixels: larger images are left out.

    Returns:
        The files.
    """
    written: list[Path] = []
    for name, image, prediction in readable(predictions, max_pixels):
        answer = prediction.answer
        if answer is None or answer.mask is None:
            continue
        labels = whole_mask(answer.mask, image.shape[:2], prediction.seen)
        path = folder / f"{name}_mask.png"
        with output_errors(path), aside(path) as temporary:
            Path(temporary).write_bytes(mask_png(labels))
        overlay = folder / f"{name}_overlay.png"
        with output_errors(overlay), aside(overlay) as temporary:
            draw_mask(image, answer.mask, prediction.seen).save(temporary, format="PNG")
        written += [path, overlay]
    return written
