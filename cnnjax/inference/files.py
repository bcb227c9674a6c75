"""Predictions for image files, and evaluations, as lines to print and as files: CSV and JSON."""

import contextlib
import csv
import dataclasses
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from cnnjax.data import MAX_PIXELS
from cnnjax.data.read.framing import Box
from cnnjax.inference.ensemble import Ensemble
from cnnjax.inference.images import read_images
from cnnjax.tasks.values import Answer, Evaluation
from cnnjax.training.errors import ConfigError, RunFolderError
from cnnjax.training.result import format_lines
from cnnjax.writing import write_json, write_text

# Files that are read and predicted together, which bounds the memory that images take.
_BATCH = 128


class FilePrediction(NamedTuple):
    """The prediction for one image file.

    Attributes:
        path: the file.
        answer: the prediction; None if the file is damaged.
        problem: what is wrong with the file, "" if nothing is.
        seen: the part of the file's pixels that the network saw; None if the file is damaged.
    """

    path: Path
    answer: Answer | None
    problem: str = ""
    seen: Box | None = None

    def __str__(self) -> str:
        """Returns the line that is printed."""
        if self.answer is None:
            return f"{self.path}: damaged, {self.problem}"
        return f"{self.path}: {self.answer.line}"


def predict_files(
    ensemble: Ensemble,
    paths: Sequence[Path],
    *,
    top: int = 3,
    invert: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[FilePrediction]:
    """Yields predictions for image files, in their order; for damaged ones it yields the problem.

    Args:
        ensemble: the networks.
        paths: image files.
        top: guesses to name for each, where the task has several.
        invert: whether light and dark are swapped.
        max_pixels: larger images count as damaged, and are not decoded.
    """
    for start in range(0, len(paths), _BATCH):
        batch = paths[start : start + _BATCH]
        files = list(read_images(batch, ensemble.form, invert, max_pixels))
        images = [file.image for file in files if file.image is not None]
        predictions = ensemble.predict(np.stack(images), _BATCH) if images else None
        row = 0
        for file in files:
            if file.image is None:
                yield FilePrediction(file.path, None, file.problem)
                continue
            one = jax.tree.map(lambda leaf, row=row: leaf[row], predictions)
            answer = _without_padding(ensemble.task.answer(one, top), ensemble)
            yield FilePrediction(file.path, answer, seen=file.seen)
            row += 1


def _without_padding(answer: Answer, ensemble: Ensemble) -> Answer:
    """Returns an answer whose mask has the pixels of the image alone."""
    pad = ensemble.members[0].preprocess.pad
    if answer.mask is None or not pad:
        return answer
    return dataclasses.replace(answer, mask=answer.mask[pad:-pad, pad:-pad])


def check_output(path: str | Path, endings: Sequence[str]) -> Path:
    """Refuses a file that cannot be written, before any work, and returns its path.

    Args:
        path: the file.
        endings: those that it may have, such as ".csv".

    Raises:
        ConfigError: its ending is none of those, its folder cannot be written, or it is a folder
            or another thing that is no file.
    """
    path = Path(path)
    if path.suffix not in endings:
        raise ConfigError(f"--output: {path} must end in {' or '.join(endings)}")
    try:
        writable = path.parent.is_dir() and os.access(path.parent, os.W_OK)
        other = path.exists() and not path.is_file()
    except OSError as error:
        # A name that is too long, for example.
        raise ConfigError(f"--output: {path} cannot be written: {error.strerror}") from None
    if not writable:
        raise ConfigError(f"--output: the folder {path.parent} does not exist or is not writable")
    if other:
        raise ConfigError(f"--output: {path} is no file; name a file")
    return path


@contextlib.contextmanager
def output_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns an operating system's error while a file is written into one that names the file.

    Args:
        path: the file.

    Raises:
        RunFolderError: the file cannot be written: the disk is full, or its folder read-only.
    """
    try:
        yield
    except OSError as error:
        raise RunFolderError(
            f"{path} cannot be written: {error.strerror or error}; make room, or name a file in "
            "another folder"
        ) from error


def values_in_pixels(prediction: FilePrediction) -> dict[str, Any]:
    """Returns the JSON values of a prediction, with boxes in pixels of the file.

    Args:
        prediction: of one file.

    Returns:
        The task's values; none for a damaged file. Each of `objects` has a `box` with top, left,
        bottom and right, where the file's first pixel goes from 0 to 1.
    """
    if prediction.answer is None:
        return {}
    values = dict(prediction.answer.values)
    if prediction.seen is None or "objects" not in values:
        return values
    seen = prediction.seen
    sides = (seen.height, seen.width) * 2
    starts = (seen.top, seen.left) * 2
    names = ("top", "left", "bottom", "right")
    objects = []
    for each in values["objects"]:
        pixels = [
            round(start + share * side, 2)
            for share, side, start in zip(each["box"], sides, starts, strict=True)
        ]
        objects.append({**each, "box": dict(zip(names, pixels, strict=True))})
    return {**values, "objects": objects}


def write_predictions(path: Path, predictions: Iterable[FilePrediction]) -> None:
    """Writes predictions as CSV (one row per image) or JSON, by the file's ending.

    Args:
        path: the file; JSON if it ends in ".json".
        predictions: those of `predict_files`.
    """
    predictions = list(predictions)
    if path.suffix == ".json":
        images = [
            {
                "file": str(prediction.path),
                **values_in_pixels(prediction),
                "problem": prediction.problem or None,
            }
            for prediction in predictions
        ]
        with output_errors(path):
            write_json(path, {"images": images})
        return
    rows = [dict(p.answer.columns) if p.answer else {} for p in predictions]
    # A damaged file has no columns: those of the others hold for all.
    columns = list(max(rows, key=len, default={}))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["file", *columns, "problem"])
    for prediction, row in zip(predictions, rows, strict=True):
        values = [row.get(column, "") for column in columns]
        writer.writerow([prediction.path, *values, prediction.problem])
    with output_errors(path):
        write_text(path, text.getvalue())


def write_evaluation(path: Path, ensemble: Ensemble, evaluation: Evaluation) -> None:
    """Writes the figures of an evaluation, its networks and its split as JSON, one line per entry.

    Args:
        path: the file.
        ensemble: the networks.
        evaluation: what `Ensemble.assess` returned.
    """
    views = ensemble.views
    values = {
        "members": ensemble.describe(),
        "dataset": ensemble.members[0].title[1],
        "split": ensemble.split,
        "views": {"crops": views.crops, "scales": list(views.scales), "flip": views.flip},
        **evaluation.details,
    }
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in values.items()]
    with output_errors(path):
        write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def format_evaluation(ensemble: Ensemble, evaluation: Evaluation) -> str:
    """Returns the lines to print of an evaluation: its figures, the views and the networks.

    Args:
        ensemble: the networks.
        evaluation: what `Ensemble.assess` returned.
    """
    sizes = {member.image_shape[0] for member in ensemble.members}
    return format_lines(
        [
            *evaluation.lines,
            *(("views", ensemble.views.describe(size)) for size in sorted(sizes)),
            *(
                ("network", f"{member['model']} of {member['origin']}")
                for member in ensemble.describe()
            ),
        ]
    )
