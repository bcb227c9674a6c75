"""Times contestants in processes of their own, in turn: the steady state of a training run.

In one process, contestants share threads, caches and the allocator's memory, and each is slower
than in a run of its own. Here one process works while the others wait for their next turn.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from scripts.benchmarks.timing import Times

Facts = Mapping[str, float | None]

TURN = 1.0
"""Seconds of a turn, untimed first step apart."""

STEPS = 3
"""The fewest timed steps of a turn."""


class Process:
    """A contestant in a process of its own.

    Attributes:
        temp_mb: the program's peak temporary memory, where the contestant reported it.
        compile_seconds: time to compile it, where it reported it.
    """

    def __init__(self, make: Callable[..., tuple[Callable[[], Any], Facts]], *arguments: Any):
        """Starts the process and waits until the contestant is ready.

        Args:
            make: a module's function from the arguments to the contestant's function and what it
                reports; it runs in the new process.
            *arguments: of `make`; they can be pickled.
        """
        context = multiprocessing.get_context("spawn")
        self._parent, child = context.Pipe()
        self._process = context.Process(target=_serve, args=(child, make, *arguments), daemon=True)
        self._process.start()
        # Without this end, a process that dies closes the pipe, and the wait below ends.
        child.close()
        facts: dict[str, float | None] = self._receive()
        self.temp_mb = facts.get("temp_mb")
        self.compile_seconds = facts.get("compile_seconds")

    def step(self) -> Any:
        """Does one step and returns its result."""
        self._parent.send("step")
        return self._receive()

    def turn(self) -> list[float]:
        """Does steps for a turn and returns the seconds of each but the first."""
        self._parent.send("turn")
        return self._receive()

    def close(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.join()

    def _receive(self) -> Any:
        try:
            return self._parent.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(
                "alone: the contestant's process ended with exit code "
                f"{self._process.exitcode}; its own message is above"
            ) from None


@contextlib.contextmanager
def processes(
    names: Mapping[str, tuple[Any, ...]], make: Callable[..., tuple[Callable[[], Any], Facts]]
) -> Iterator[dict[str, Process]]:
    """Starts a process for each contestant, one after the other, and ends all of them.

    Args:
        names: the arguments of `make` for each contestant.
        make: see `Process`.
    """
    with contextlib.ExitStack() as stack:
        started = {}
        for name, arguments in names.items():
            started[name] = Process(make, *arguments)
            stack.callback(started[name].close)
        yield started


def in_turn(contestants: Mapping[str, Process], repeats: int, seconds: float) -> Times:
    """Times processes in turn, in the order given: A B C A B C.

    Args:
        contestants: the processes.
        repeats: rounds.
        seconds: after this long, at least 5 rounds are enough.

    Returns:
        The median time of a step in each turn.
    """
    rounds: dict[str, list[float]] = {name: [] for name in contestants}
    first = time.perf_counter()
    for count in range(repeats):
        if count >= 5 and time.perf_counter() - first > seconds:
            break
        for name, process in contestants.items():
            rounds[name].append(float(np.median(process.turn())))
    return Times({name: np.array(values) for name, values in rounds.items()})


def _serve(
    pipe: Connection, make: Callable[..., tuple[Callable[[], Any], Facts]], *arguments: Any
) -> None:
    """Makes the contestant, and does what the other end of the pipe asks for until it is closed."""
    step, facts = make(*arguments)
    pipe.send(facts)
    with contextlib.suppress(EOFError):
        while True:
            pipe.send(step() if pipe.recv() == "step" else _turn(step))


def _turn(step: Callable[[], Any]) -> list[float]:
    step()
    times: list[float] = []
    while len(times) < STEPS or sum(times) < TURN:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return times
