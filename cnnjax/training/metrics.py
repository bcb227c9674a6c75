"""What a run writes as it goes: JSON lines and TensorBoard events, and how the lines are read."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from cnnjax.training.run_folder import METRICS_FILE


class MetricsWriter:
    """Appends metrics to `metrics.jsonl` and to TensorBoard events beneath `tensorboard/`.

    Args:
        workdir: the run's folder.
        resumed_step: the step that the run goes on from; TensorBoard forgets what lies past it.
    """

    def __init__(self, workdir: Path, resumed_step: int = 0):
        # tensorboardX rather than clu or flax writers, which import TensorFlow.
        from tensorboardX import SummaryWriter

        path = workdir / METRICS_FILE
        cut = path.exists() and not path.read_bytes().endswith(b"\n")
        self._lines = path.open("a", buffering=1)
        if cut:  # by the end of a process: what follows must not be joined to it
            self._lines.write("\n")
        self._events = SummaryWriter(
            str(workdir / "tensorboard"), purge_step=resumed_step + 1 if resumed_step else None
        )

    def write(self, split: str, step: int, epoch: float, values: dict[str, float]) -> None:
        """Writes scalars of a split ("train", "test", "validation") after a step."""
        line = {"step": step, "epoch": epoch, "split": split, **values}
        self._lines.write(json.dumps(line) + "\n")
        for name, value in values.items():
            self._events.add_scalar(f"{split}/{name}", value, step)

    def write_images(self, name: str, step: int, images: np.ndarray) -> None:
        """Writes uint8 images [examples, height, width, channels] to TensorBoard."""
        if len(images):
            self._events.add_images(name, images, step, dataformats="NHWC")

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lines.close()
        self._events.close()


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """Returns the lines of `metrics.jsonl`, in order of step; of repeated ones, the last written.

    A run that was killed repeats the steps after its last checkpoint, and its last line may be cut.
    """
    path = workdir / METRICS_FILE
    latest: dict[tuple[int, str], dict[str, Any]] = {}
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        latest[line["step"], line["split"]] = line
    return [latest[key] for key in sorted(latest)]
