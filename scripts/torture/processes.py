"""Functions and commands run in processes of their own, with limits of time and memory.

A process is forked: it starts within milliseconds, since all modules are loaded already. The
process that forks must not compute with jax, whose threads would be missing in the new one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import resource
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

SECONDS = 120
"""How long a process may take before it counts as hanging."""

DOCUMENTED = frozenset({0, 2, 3, 4, 5, 75, 130})
"""The exit codes that `cnnjax.commands.exit_codes` documents."""

Limits = Sequence[tuple[int, int]]
"""Limits of `resource.setrlimit` and their values."""


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: the exit code, or the negative number of the signal that ended it.
        output: what it printed.
        hung: whether it was killed because its time was over.
        seconds: how long it ran.
    """

    code: int
    output: str
    hung: bool
    seconds: float

    def fault(self) -> str | None:
        """Returns what is wrong with this end; None for a documented exit code and a message."""
        if self.hung:
            return f"hangs: it did not end within {self.seconds:.0f} seconds"
        if "Traceback (most recent call last)" in self.output:
            return f"traceback: {last_line(self.output)}"
        if self.code < 0:
            return f"was ended by {signal.Signals(-self.code).name}: {last_line(self.output)}"
        if self.code not in DOCUMENTED:
            return f"exit code {self.code}, which is not documented: {last_line(self.output)}"
        if self.code and not self.output.strip():
            return f"exit code {self.code} without a message"
        return None


def last_line(output: str) -> str:
    """Returns the last line of what a process printed, shortened.

    Args:
        output: all of it.
    """
    lines = [line for line in output.strip().splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"


@dataclasses.dataclass
class Forked:
    """A running process of `start`.

    Attributes:
        pid: its number.
        log: the file that it prints into.
        started: when it was started.
        code: how it ended, None while it runs.
    """

    pid: int
    log: Path
    started: float
    code: int | None = None

    def wait(self, seconds: float) -> bool:
        """Waits for the end, and returns whether it came.

        Args:
            seconds: the longest wait.
        """
        if self.code is not None:
            return True
        handle = os.pidfd_open(self.pid)
        try:
            if not select.select([handle], [], [], max(seconds, 0))[0]:
                return False
        finally:
            os.close(handle)
        _, status = os.waitpid(self.pid, 0)
        self.code = os.waitstatus_to_exitcode(status)
        return True

    def end(self, seconds: float = SECONDS) -> Ended:
        """Waits for the end, kills the process if it does not come, and returns how it ended.

        Args:
            seconds: the longest wait.
        """
        hung = True
        try:
            hung = not self.wait(seconds)
        finally:
            # The group holds the processes that it started, too.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self.wait(SECONDS)
        output = self.log.read_bytes().decode("utf-8", "replace")
        return Ended(self.code or 0, output, hung, time.monotonic() - self.started)


def start(function: Callable[[], object], log: Path, limits: Limits = ()) -> Forked:
    """Runs a function in a process of its own.

    Args:
        function: what to run; `sys.exit` in it sets the exit code.
        log: the file for what it prints.
        limits: limits of the process.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # Python and jax warn of threads, of which the process that forks has none at work.
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        _run_and_exit(function, log, limits)
    return Forked(pid, log, time.monotonic())


def _run_and_exit(function: Callable[[], object], log: Path, limits: Limits) -> None:
    """Runs the function in the new process and ends it; it never returns."""
    code = 1
    try:
        os.setsid()
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, target in ((nothing, 0), (handle, 1), (handle, 2)):
            os.dup2(number, target)
        sys.stdout = os.fdopen(1, "w", buffering=1, errors="strict", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for kind, value in limits:
            resource.setrlimit(kind, (value, value))
        function()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def start_command(
    arguments: Sequence[str],
    log: Path,
    limits: Limits = (),
    before: Callable[[], object] | None = None,
) -> Forked:
    """Starts `cnnjax` with arguments.

    Args:
        arguments: the command's name and its arguments.
        log: the file for what it prints.
        limits: limits of the process.
        before: called in the process before the command.
    """

    def run() -> None:
        from cnnjax.commands.__main__ import main

        if before is not None:
            before()
        main(list(arguments))

    return start(run, log, limits)


def run_command(
    arguments: Sequence[str], log: Path, seconds: float = SECONDS, limits: Limits = ()
) -> Ended:
    """Runs `cnnjax` with arguments to its end, and returns how it ended.

    Args:
        arguments: the command's name and its arguments.
        log: the file for what it prints.
        seconds: the longest time.
        limits: limits of the process.
    """
    return start_command(arguments, log, limits).end(seconds)


def memory_limit(gigabytes: float) -> tuple[int, int]:
    """Returns the limit with which a process may take some memory more than this one has.

    Args:
        gigabytes: how much more.
    """
    found = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
    now = 1024 * int(found[1]) if found else 2**31
    return resource.RLIMIT_DATA, now + int(gigabytes * 2**30)
