"""What a run writes as it goes: JSON lines and TensorBoard events, and how the lines are read."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from cnnjax.extras import installed_with
from cnnjax.training.folder.json_lines import (
    JsonLines,
    describe_damage,
    is_count,
    is_number,
    read_json_lines,
)
from cnnjax.training.folder.names import METRICS_FILE, TENSORBOARD_FOLDER

HISTOGRAM_VALUES = 100_000
"""A histogram takes at most about this many values of an array, evenly spaced."""


class MetricsWriter:
    """Appends metrics to `metrics.jsonl` and to TensorBoard events beneath `tensorboard/`.

    Args:
        workdir: the run's folder.
        resumed_step: the step that the run continues from; TensorBoard drops what lies past it.
    """

    def __init__(self, workdir: Path, resumed_step: int = 0):
        # tensorboardX rather than clu or flax writers, which import TensorFlow. Its SummaryWriter
        # hands events to a thread, which dies on a full disk and leaves its caller waiting for
        # ever; its EventsWriter writes at once, and raises.
        with installed_with("train"):
            from tensorboardX import summary
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto import event_pb2 as generated

        event_pb2: Any = generated  # its classes are made at run time
        self._lines = JsonLines(workdir / METRICS_FILE)
        folder = workdir / TENSORBOARD_FOLDER
        folder.mkdir(exist_ok=True)
        # Without the process in its name, a file would be lost to a restart in the same second.
        self._events = EventsWriter(str(folder / "events"), f".{os.getpid()}")
        self._event, self._summary = event_pb2.Event, summary
        if resumed_step:
            # After this event TensorBoard drops what it has of later steps.
            restart = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._events.write_event(self._event(step=resumed_step + 1, session_log=restart))

    def write(self, split: str, step: int, epoch: float, values: dict[str, float]) -> None:
        """Writes scalars after a step.

        Args:
            split: "train", "test" or "validation".
            step: number of steps done.
            epoch: the same in epochs, fractions included.
            values: metrics by name.
        """
        self._lines.append({"step": step, "epoch": epoch, "split": split, **values})
        for name, value in values.items():
            self._add(self._summary.scalar(f"{split}/{name}", value), step)

    def write_images(self, name: str, step: int, images: np.ndarray) -> None:
        """Writes images to TensorBoard.

        Args:
            name: prefix of their names.
            step: number of steps done.
            images: uint8, or numbers from 0 to 1, [examples, height, width, channels].
        """
        for number, image in enumerate(images):
            self._add(self._summary.image(f"{name}/{number}", image, dataformats="HWC"), step)

    def write_histogram(self, name: str, step: int, values: np.ndarray) -> None:
        """Writes the distribution of an array's values and its Euclidean norm to TensorBoard.

        Args:
            name: the array's name.
            step: number of steps done.
            values: the array, of any shape.
        """
        # In float16 the norm could overflow.
        flat = np.asarray(values, np.float64).reshape(-1)
        shown = flat[:: max(1, len(flat) // HISTOGRAM_VALUES)]
        self._add(self._summary.histogram(name, shown, bins=64), step)
        self._add(self._summary.scalar(f"{name}/norm", float(np.linalg.norm(flat))), step)

    def flush(self) -> None:
        """Writes everything so far into the files."""
        self._events.flush()

    def _add(self, summary: Any, step: int) -> None:
        self._events.write_event(self._event(wall_time=time.time(), step=step, summary=summary))

    def close(self) -> None:
        """Writes the rest and closes the files."""
        self._lines.close()
        self._events.close()


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """Returns the lines of `metrics.jsonl`, in order of step; of repeated ones, the last written.

    A run that was killed repeats the steps after its last checkpoint, and its last line may be cut.
    Lines that cannot be read are left out.

    Args:
        workdir: the run's folder.
    """
    latest: dict[tuple[int, str], dict[str, Any]] = {}
    for line in read_json_lines(workdir / METRICS_FILE, _check):
        latest[line["step"], line["split"]] = line
    return [latest[key] for key in sorted(latest)]


def metrics_damage(workdir: Path) -> str | None:
    """Returns a sentence on the lines of `metrics.jsonl` that cannot be read; None if all can.

    Args:
        workdir: the run's folder.
    """
    return describe_damage(workdir / METRICS_FILE, _check)


def _check(line: dict[str, Any]) -> str | None:
    """Returns what is wrong with a line of metrics."""
    if not is_count(line.get("step")):
        return "step is no whole number"
    if not isinstance(line.get("split"), str):
        return "split is no text"
    wrong = [name for name, value in line.items() if name != "split" and not is_number(value)]
    return f"{wrong[0]} is no number" if wrong else None
