"""SIGTERM and Ctrl-C as a request to stop, which the training loop reads between two steps."""

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
    """Within its block, records SIGTERM and Ctrl-C, which then do not end the process.

    A Ctrl-C after either leaves at once, as it does without this class; a repeated SIGTERM changes
    nothing, since schedulers send it more than once. Outside of a program's main thread signals
    cannot be handled, and nothing is recorded. A block within another one records the signal for
    both.

    Attributes:
        signal: name of the signal that was received, such as "SIGTERM"; None before that.
    """

    def __init__(self) -> None:
        self.signal: str | None = None
        self._before: dict[signal.Signals, Any] = {}

    def agreed(self) -> bool:
        """Returns whether any of the run's processes has received a signal to stop.

        All processes must call it after the same step, and it returns the same in all of them.
        """
        if jax.process_count() == 1:
            return self.signal is not None
        # Imported only where there are several processes.
        from jax.experimental import multihost_utils

        received = multihost_utils.process_allgather(np.array(self.signal is not None))
        return bool(np.any(received))

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._record)
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

    def _record(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.signal = signal.Signals(number).name
        outer = getattr(self._before.get(signal.Signals(number)), "__self__", None)
        if isinstance(outer, StopRequest):
            # The work around this block has to stop too, also where this one ends before it looks.
            outer.signal = outer.signal or self.signal
        # A handler that logs itself could wait for a lock that the interrupted code holds.
        threading.Thread(target=self._log, daemon=True).start()

    def _log(self) -> None:
        _logger.info(
            "%s: finishing the current step and saving; Ctrl-C leaves at once, without saving",
            self.signal,
        )
