"""The quiet end of a command whose output is read no further, as by `head`."""

import contextlib
import os
import select
import sys
from collections.abc import Iterator

from cnnjax.commands.exit_codes import OUTPUT_CLOSED


@contextlib.contextmanager
def quiet_where_output_is_closed() -> Iterator[None]:
    """Ends the program without a traceback where the reader of its standard output has left.

    Raises:
        SystemExit: with `OUTPUT_CLOSED`; every other error passes as it is.
    """
    try:
        try:
            yield
        finally:
            # Otherwise the interpreter writes the rest at its end, and reports that it cannot.
            sys.stdout.flush()
    except BrokenPipeError:
        # Other pipes break too, and those errors are not for this place.
        if not _is_closed():
            raise
        # What is left in the buffer goes nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        sys.exit(OUTPUT_CLOSED)


def _is_closed() -> bool:
    """Returns whether standard output is a pipe that has lost its reader."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except OSError:
        # It has no file, as in a notebook.
        return False
    # The system reports this event even where no event is registered.
    return any(event & select.POLLERR for _, event in poll.poll(0))
