"""A training that is killed at random moments and resumed loses no bit."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np

from scripts.torture.attack import Attack, Outcome, failed, held
from scripts.torture.processes import SECONDS, run_command
from scripts.torture.small_run import (
    difference,
    result_of,
    small_run,
    start_training,
    train_arguments,
)

_STOPPED = 75


def attempt(generator: np.random.Generator, scratch: Path) -> list[Outcome]:
    """Kills a training one to three times, finishes it, and compares the result.

    Args:
        generator: chooses the moments and the signals.
        scratch: an empty folder.
    """
    small = small_run()
    workdir, log = scratch / "run", scratch / "log"
    story = []
    for _ in range(generator.integers(1, 4)):
        kind = (signal.SIGKILL, signal.SIGTERM)[generator.integers(2)]
        moment = float(generator.uniform(0, small.seconds))
        story.append(f"{kind.name} after {moment:.2f} s")
        training = start_training(workdir, small.data, log)
        if training.wait(moment):
            ended = training.end()
        else:
            os.kill(training.pid, kind)
            ended = training.end(SECONDS)
        # Before the training has its handlers, a signal ends the process at once.
        expected = {0, _STOPPED, -kind}
        if ended.hung or ended.code not in expected or (ended.code >= 0 and ended.fault()):
            problem = ended.fault() or f"exit code {ended.code}"
            return failed(f"{', '.join(story)}: {problem}")
    ended = run_command(train_arguments(workdir, small.data), log)
    if ended.code or ended.fault():
        return failed(f"{', '.join(story)}, resumed: {ended.fault() or ended.output[-200:]}")
    problem = difference(result_of(workdir, small.data, log), small.result)
    if problem:
        return failed(f"{', '.join(story)}, resumed: {problem}")
    return held(f"{', '.join(story)}, resumed: bit for bit the same")


ATTACK = Attack("kills", attempt, "SIGKILL and SIGTERM at random moments of a training", small_run)
