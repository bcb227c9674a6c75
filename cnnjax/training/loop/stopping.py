"""SIGTERM and Ctrl-C as a request that the training loop answers between two steps."""

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import jax
import numpy as np

_logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Within its block, notes SIGTERM and Ctrl-C instead of dying of them.

    A Ctrl-C after either leaves at once, as Python does by itself; a repeated SIGTERM changes
    nothing, since schedulers send it more than once. Where signals cannot be handled, outside of a
    program's main thread, nothing is noted.

    Attributes:
        signal: name of the signal that came, such as "SIGTERM"; None as long as none has.
    """

    def __init__(self) -> None:
        self.signal: str | None = None
        self._before: dict[signal.Signals, Any] = {}

    def agreed(self) -> bool:
        """Returns whether any of the run's processes has been asked to stop.

        All processes must call it after the same step, and all get the same answer.
        """
        if jax.process_count() == 1:
            return self.signal is not None
        from jax.experimental import multihost_utils

        asked = multihost_utils.process_allgather(np.array(self.signal is not None))
        return bool(np.any(asked))

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.signal = signal.Signals(number).name
        # A log record from inside a handler can meet a lock that the interrupted code holds.
        threading.Thread(target=self._tell, daemon=True).start()

    def _tell(self) -> None:
        _logger.info(
            "%s: finishing the current step and saving; Ctrl-C leaves at once, without saving",
            self.signal,
        )
