"""All that a run tells while it goes on, in one object that only the first process fills."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import numpy as np

from cnnjax import patterns
from cnnjax.recipes.plan import Plan
from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder.events import EventLog
from cnnjax.training.folder.metrics import MetricsWriter
from cnnjax.training.loop.meter import Interval
from cnnjax.training.loop.progress import Progress


class Watch:
    """Writes metrics, pictures, histograms and events of a run, and shows its progress.

    Args:
        plan: the run.
        workdir: its folder.
        step: the step it begins or goes on from.
        progress: whether to show how far it is.
        active: whether this process is the one that writes; every other does nothing.
    """

    def __init__(self, plan: Plan, workdir: Path, step: int, *, progress: bool, active: bool):
        self._plan = plan
        self._workdir = workdir
        self._active = active
        if active:
            with self._writing():
                self._writer = MetricsWriter(workdir, step)
                self._events = EventLog(workdir)
            self._progress = Progress(plan, step, progress)

    def event(self, event: str, step: int, **details: Any) -> None:
        """Notes what happened to the run."""
        if self._active:
            with self._writing():
                self._events.write(event, step, **details)

    def trained(self, interval: Interval) -> None:
        """Writes the metrics of an interval of training."""
        if self._active:
            with self._writing():
                self._writer.write(
                    "train", interval.step, self._epoch(interval.step), interval.metrics
                )
            self._progress.update(interval.step, interval.metrics)

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        """Writes the metrics of an evaluation."""
        if self._active:
            with self._writing():
                self._writer.write(self._plan.eval_split, step, self._epoch(step), metrics)
                self._writer.flush()

    def pictures(self, step: int, images: np.ndarray) -> None:
        """Writes mistaken images, uint8 [examples, height, width, channels]."""
        if self._active:
            with self._writing():
                self._writer.write_images(f"{self._plan.eval_split}/mistakes", step, images)

    def histograms(self, step: int, kind: str, tree: Any) -> None:
        """Writes how the values of every array of a tree are spread, and their norms."""
        if self._active:
            arrays = jax.device_get(jax.tree.leaves(tree))
            with self._writing():
                for name, values in zip(patterns.path_names(tree), arrays, strict=True):
                    self._writer.write_histogram(f"{kind}/{name}", step, values)

    def _epoch(self, step: int) -> float:
        return step / self._plan.epoch_steps

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunFolderError(
                f"workdir: {self._workdir} cannot be written any more: {error}; its checkpoints "
                "are as they were; make room and start the same command again to go on"
            ) from error

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._active:
            return
        self._progress.close()
        for close in (self._events.close, self._writer.close):
            # A full disk is told once, by what failed first.
            with contextlib.suppress(OSError) if error else self._writing():
                close()
