"""The progress of a run: a moving line on a terminal, or a line in a log now and then."""

import logging
import sys
import time

from cnnjax.training.run import Run

_logger = logging.getLogger(__name__)

LOG_SECONDS = 30.0
"""Time between two lines where standard error is not a terminal."""


class Progress:
    """Shows step, epoch, loss, images per second and the time left.

    Args:
        run: the run.
        step: steps done so far.
        shown: whether anything is shown at all.
    """

    def __init__(self, run: Run, step: int, shown: bool):
        self._run = run
        self._shown = shown
        self._first_step, self._started = step, time.monotonic()
        self._last = self._started
        self._bar = None
        if shown and sys.stderr.isatty():
            # Imported only where a line is shown on a terminal.
            from tqdm import tqdm

            self._bar = tqdm(
                total=max(run.total_steps, step),
                initial=step,
                unit="step",
                desc=run.names[0],
                dynamic_ncols=True,
            )

    def update(self, step: int, metrics: dict[str, float]) -> None:
        """Shows the newest training metrics.

        Args:
            step: number of steps done.
            metrics: those of the last interval, with `loss` and `images_per_second`.
        """
        if not self._shown:
            return
        epochs = -(-self._run.total_steps // self._run.epoch_steps)
        epoch = f"{step / self._run.epoch_steps:.1f}/{epochs}"
        loss, speed = f"{metrics['loss']:.4f}", f"{metrics['images_per_second']:,.0f}"
        if self._bar is not None:
            self._bar.set_postfix(
                {"epoch": epoch, "loss": loss, "images/s": speed.replace(",", " ")}, refresh=False
            )
            self._bar.update(step - self._bar.n)
            return
        now = time.monotonic()
        if now - self._last < LOG_SECONDS:
            return
        self._last = now
        # The speed is that of this start, with its evaluations and checkpoints.
        left = (self._run.total_steps - step) * (now - self._started) / (step - self._first_step)
        _logger.info(
            "step %d/%d, epoch %s, loss %s, %s images/s, %s left",
            *(step, self._run.total_steps, epoch, loss, speed, _duration(left)),
        )

    def close(self) -> None:
        """Ends the line, which stays on the terminal."""
        if self._bar is not None:
            self._bar.close()


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
