"""Signals that come while a command starts: nothing is begun yet, so that it can leave at once."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from cnnjax.commands.exit_codes import INTERRUPTED, STOPPED

_CONTINUE = ("train", "study")
"""The commands that a scheduler starts again after the code `STOPPED`."""


@contextlib.contextmanager
def leaving_at_once(command: str) -> Iterator[None]:
    """Ends the program at a signal, without a traceback, as long as the block lasts.

    A library that is being loaded may turn KeyboardInterrupt into another error.

    Args:
        command: its name.
    """

    def leave(number: int, _: Any) -> None:
        # A stream of Python may be in the middle of writing.
        os.write(2, b"left before anything was begun\n")
        os._exit(INTERRUPTED if number == signal.SIGINT else STOPPED)

    numbers = [signal.SIGINT, *([signal.SIGTERM] if command in _CONTINUE else [])]
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_by_sigterm(command: str) -> None:
    """Lets SIGTERM end a command that can be continued with the code `STOPPED`, from now on.

    While a run trains, its own handler takes the place of this one: it saves first.

    Args:
        command: its name.
    """

    def stop(*_: Any) -> None:
        print("stopped by SIGTERM; start the same command again to go on", file=sys.stderr)
        sys.exit(STOPPED)

    if command in _CONTINUE:
        signal.signal(signal.SIGTERM, stop)
