"""What networks answer, as lines to print and as files: CSV and JSON."""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from cnnjax.inference.ensemble import Ensemble
from cnnjax.inference.images import read_images
from cnnjax.tasks.assessment import CALIBRATION_BINS, Assessment
from cnnjax.training.errors import ConfigError

_WEAKEST = 3


class Answer(NamedTuple):
    """What networks say of one image file.

    Attributes:
        path: the file.
        guesses: the most probable classes with their probabilities, the best first; empty if the
            file is damaged.
        problem: what is wrong with the file, "" if nothing is.
    """

    path: Path
    guesses: tuple[tuple[str, float], ...]
    problem: str = ""

    def __str__(self) -> str:
        """Returns the line that is printed."""
        if self.problem:
            return f"{self.path}: damaged, {self.problem}"
        return f"{self.path}: " + ", ".join(f"{name} {share:.2%}" for name, share in self.guesses)


def answer_files(
    ensemble: Ensemble, paths: Sequence[Path], *, top: int = 3, invert: bool = False
) -> Iterator[Answer]:
    """Names the classes of image files, in their order; damaged ones are told among them.

    Args:
        ensemble: the networks.
        paths: image files.
        top: classes to name of each.
        invert: swap light and dark.
    """
    batch = 128
    for start in range(0, len(paths), batch):
        files = list(read_images(paths[start : start + batch], ensemble.form, invert))
        images = [file.image for file in files if file.image is not None]
        answers = iter(ensemble.predict(np.stack(images), batch) if images else ())
        for file in files:
            guesses = ()
            if file.image is not None:
                guesses = _best(next(answers), ensemble.class_names, top)
            yield Answer(file.path, guesses, file.problem)


def _best(
    probabilities: Float[np.ndarray, " classes"], names: Sequence[str], top: int
) -> tuple[tuple[str, float], ...]:
    order: list[int] = np.argsort(-probabilities, kind="stable")[:top].tolist()
    return tuple((names[place], float(probabilities[place])) for place in order)


def check_output(path: str | Path, endings: Sequence[str]) -> Path:
    """Makes sure, before any work, that a file can be written.

    Raises:
        ConfigError: its ending is none of those, or its folder cannot be written.
    """
    path = Path(path)
    if path.suffix not in endings:
        raise ConfigError(f"--output: {path} must end in {' or '.join(endings)}")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigError(f"--output: the folder {path.parent} does not exist or is not writable")
    return path


def write_answers(path: Path, answers: Iterable[Answer]) -> None:
    """Writes answers as CSV (a row an image) or JSON, as the file's ending says."""
    answers = list(answers)
    if path.suffix == ".json":
        images = [
            {
                "file": str(answer.path),
                "classes": [{"name": name, "probability": p} for name, p in answer.guesses],
                "problem": answer.problem or None,
            }
            for answer in answers
        ]
        _write(path, json.dumps({"images": images}, indent=2) + "\n")
        return
    count = max((len(answer.guesses) for answer in answers), default=0)
    text = io.StringIO()
    writer = csv.writer(text)
    columns = [f"{kind}_{n}" for n in range(1, count + 1) for kind in ("class", "probability")]
    writer.writerow(["file", *columns, "problem"])
    for answer in answers:
        guesses = [value for guess in answer.guesses for value in guess]
        padding = [""] * (2 * count - len(guesses))
        writer.writerow([answer.path, *guesses, *padding, answer.problem])
    _write(path, text.getvalue())


def write_assessment(path: Path, ensemble: Ensemble, assessment: Assessment) -> None:
    """Writes all figures of an evaluation, and of what, as JSON: a line for each entry."""
    views = ensemble.views
    values = {
        "members": ensemble.describe(),
        "dataset": ensemble.members[0].plan.config.data.name,
        "split": ensemble.split,
        "views": {"crops": views.crops, "scales": list(views.scales), "flip": views.flip},
        **assessment.as_json(),
    }
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in values.items()]
    _write(path, "{\n" + ",\n".join(lines) + "\n}\n")


def _write(path: Path, text: str) -> None:
    """Writes a file in full before it gets its name."""
    aside = path.with_name(f".{path.name}.incomplete")
    # CSV ends its lines itself.
    aside.write_text(text, encoding="utf-8", newline="")
    os.replace(aside, path)


def format_assessment(ensemble: Ensemble, assessment: Assessment) -> str:
    """Returns the lines that say how good networks are."""
    lines = [
        (f"{ensemble.split} accuracy", f"{assessment.accuracy:.2%}"),
        ("top-5 error", f"{assessment.top5_error:.2%}"),
        ("NLL", f"{assessment.nll:.4f} nats"),
        ("calibration error", f"{assessment.calibration_error:.2%} ({CALIBRATION_BINS} bins)"),
        ("weakest classes", ", ".join(_weakest(assessment)) or "none: all are right"),
        ("images", f"{assessment.examples:,}"),
    ]
    if assessment.unanswered:
        lines.append(("not a number", f"{assessment.unanswered:,} images, counted as wrong"))
    sizes = {member.plan.image_shape[0] for member in ensemble.members}
    lines += [("views", ensemble.views.describe(size)) for size in sorted(sizes)]
    lines += [
        ("network", f"{member['model']} of {member['workdir']}, step {member['step']}")
        for member in ensemble.describe()
    ]
    return "\n".join(f"{name:<22}{value}" for name, value in lines)


def _weakest(assessment: Assessment) -> list[str]:
    """The classes with the least share of right answers, the worst first."""
    shares = assessment.class_accuracy
    order: list[int] = np.argsort(np.nan_to_num(shares, nan=1.0), kind="stable").tolist()
    return [
        f"{assessment.class_names[place]} {shares[place]:.2%}"
        for place in order[:_WEAKEST]
        if shares[place] < 1
    ]
