"""All that a run writes while it trains; only the first process writes."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import numpy as np

from cnnjax import patterns
from cnnjax.training.callbacks import Callback, Start
from cnnjax.training.errors import FolderWriteError, TrainingStopped
from cnnjax.training.folder.events import EventLog
from cnnjax.training.folder.metrics import MetricsWriter
from cnnjax.training.loop.intervals import Interval
from cnnjax.training.loop.progress import Progress
from cnnjax.training.run import Run


class RunLog:
    """Writes metrics, pictures, histograms and events of a run, shows its progress, calls back.

    Args:
        run: the run.
        workdir: its folder; None to write no files.
        step: the step that the run starts at or continues from.
        callbacks: what is called at the start, logs, evaluations, checkpoints and the end.
        progress: whether progress is shown.
        active: whether this process is the one that writes; the others do nothing.

    Attributes:
        history: the metrics written so far, in order: `step`, `epoch`, `split` and the values.
    """

    def __init__(
        self,
        run: Run,
        workdir: Path | None,
        step: int,
        *,
        callbacks: Sequence[Callback] = (),
        progress: bool,
        active: bool,
    ):
        self._run = run
        self._workdir = workdir
        self._active = active
        self._callbacks = callbacks if active else ()
        self._writer: MetricsWriter | None = None
        self._events: EventLog | None = None
        self.history: list[dict[str, Any]] = []
        if active and workdir is not None:
            with self._writing():
                self._writer = MetricsWriter(workdir, step)
                self._events = EventLog(workdir)
        self._progress = Progress(run, step, progress and active)

    def started(self, run_id: str | None, step: int) -> None:
        """Calls back before the first step.

        Args:
            run_id: the run's number; None without a folder.
            step: the step that the run starts at or continues from.
        """
        for callback in self._callbacks:
            callback.on_start(Start(self._run, self._workdir, step, run_id))

    def event(self, event: str, step: int, **details: Any) -> None:
        """Writes an event of the run.

        Args:
            event: what happened, as in `EventLog.write`.
            step: number of steps done.
            **details: JSON values that belong to it.
        """
        if self._events is not None:
            with self._writing():
                self._events.write(event, step, **details)

    def saved(self, step: int, folder: Path, score: float | None, metrics: Any) -> None:
        """Writes that a checkpoint was saved, and the metric by which it may be chosen.

        Args:
            step: number of steps done.
            folder: the checkpoint's folder.
            score: how good the state is; None where that chooses nothing.
            metrics: the evaluation's metrics; None where there was no evaluation.
        """
        metric = self._run.task.score.metric
        chosen = {} if score is None else {"metric": metric, "value": metrics[metric]}
        self.event("saved", step, score=score, **chosen)
        for callback in self._callbacks:
            callback.on_checkpoint(step, folder)

    def trained(self, interval: Interval) -> None:
        """Writes the metrics of an interval of training.

        Args:
            interval: the interval.
        """
        if not self._active:
            return
        self._write("train", interval.step, interval.metrics)
        self._progress.update(interval.step, interval.metrics)
        for callback in self._callbacks:
            callback.on_log(interval.step, interval.metrics)

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        """Writes the metrics of an evaluation.

        Args:
            step: number of steps done.
            metrics: the task's metrics.
        """
        if not self._active:
            return
        self._write(self._run.split, step, metrics)
        if self._writer is not None:
            with self._writing():
                self._writer.flush()
        for callback in self._callbacks:
            callback.on_evaluation(step, metrics)

    def _write(self, split: str, step: int, metrics: dict[str, float]) -> None:
        epoch = step / self._run.epoch_steps
        self.history.append({"step": step, "epoch": epoch, "split": split, **metrics})
        if self._writer is not None:
            with self._writing():
                self._writer.write(split, step, epoch, metrics)

    def pictures(self, step: int, images: np.ndarray) -> None:
        """Writes pictures of the evaluation to TensorBoard.

        Args:
            step: number of steps done.
            images: uint8, or numbers from 0 to 1, [examples, height, width, channels].
        """
        if self._writer is not None:
            with self._writing():
                self._writer.write_images(f"{self._run.split}/pictures", step, images)

    def histograms(self, step: int, kind: str, tree: Any) -> None:
        """Writes the distribution of the values of every array of a tree, and their norms.

        Args:
            step: number of steps done.
            kind: "parameters" or "gradients", a prefix of the arrays' names.
            tree: a pytree of arrays.
        """
        if self._writer is not None:
            arrays = jax.device_get(jax.tree.leaves(tree))
            with self._writing():
                for name, values in zip(patterns.path_names(tree), arrays, strict=True):
                    self._writer.write_histogram(f"{kind}/{name}", step, values)

    @property
    def writes_pictures(self) -> bool:
        """Whether pictures are written anywhere."""
        return self._workdir is not None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FolderWriteError(
                f"workdir: {self._workdir} cannot be written any more: {error}; its checkpoints "
                "are as they were; make room and start the same command again to go on"
            ) from error

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.close()
        stopped = isinstance(error, TrainingStopped | KeyboardInterrupt)
        ending = "finished" if error is None else "stopped" if stopped else "failed"
        try:
            for callback in self._callbacks:
                callback.on_end(ending)
        finally:
            self._close(error)

    def _close(self, error: BaseException | None) -> None:
        for file in (self._events, self._writer):
            if file is not None:
                # A full disk is reported once, by what failed first.
                with contextlib.suppress(OSError) if error else self._writing():
                    file.close()
