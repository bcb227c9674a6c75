"""A trace of some steps for TensorBoard's or Perfetto's profile viewer."""

import logging
from pathlib import Path
from typing import Any

import jax

from cnnjax.training.errors import ConfigError
from cnnjax.training.folder.names import PROFILE_FOLDER

_logger = logging.getLogger(__name__)


def parse_steps(text: str | None) -> range:
    """Returns the steps of `a:b`, from a up to and with b, counted from 1.

    Args:
        text: "a:b"; None or "" for no steps.

    Raises:
        ConfigError: the text has another form, or the range is empty.
    """
    if not text:
        return range(0)
    first, colon, last = text.partition(":")
    if not (colon and first.isdigit() and last.isdigit() and 1 <= int(first) <= int(last)):
        raise ConfigError(
            f"profile_steps: {text!r} was given; give the first and the last step to trace, "
            "counted from 1, as in 101:110"
        )
    return range(int(first), int(last) + 1)


class Profiler:
    """Traces some steps into the run's folder.

    Args:
        workdir: the run's folder.
        steps: the numbers of the steps to trace; none for no trace.
    """

    def __init__(self, workdir: Path, steps: range):
        self._folder = workdir / PROFILE_FOLDER
        self._steps = steps
        self._running = False

    def before(self, step: int) -> None:
        """Starts the trace if the next step is its first.

        Args:
            step: the number of the next step, counted from 1.
        """
        if self._steps and not self._running and step in self._steps:
            jax.profiler.start_trace(str(self._folder))
            self._running = True

    def after(self, step: int, result: Any) -> bool:
        """Ends the trace if the last step was its last, once the step's result is there.

        Args:
            step: the number of the last step, counted from 1.
            result: its arrays, which the device may still be computing.

        Returns:
            Whether a trace has been written.
        """
        if not self._running or step + 1 in self._steps:
            return False
        # Steps run behind the host: the trace has to last until the step is done.
        jax.block_until_ready(result)
        self.close()
        _logger.info("wrote a trace of steps up to %d to %s", step, self._folder)
        return True

    def close(self) -> None:
        """Ends a trace that is running."""
        if self._running:
            self._running = False
            jax.profiler.stop_trace()
