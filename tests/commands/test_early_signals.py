"""Signals that come before a command has begun."""

import signal
import subprocess
import sys

import pytest

from tests.helpers.processes import ROOT

PROGRAM = """
import os, signal, sys
from cnnjax.commands.early_signals import leaving_at_once, stop_by_sigterm

command, number, when = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with leaving_at_once(command):
    if when == "loading":
        os.kill(os.getpid(), number)
stop_by_sigterm(command)
os.kill(os.getpid(), number)
"""


@pytest.mark.parametrize(
    ("command", "number", "when", "code", "message"),
    [
        ("train", signal.SIGINT, "loading", 130, "left before anything was begun"),
        ("evaluate", signal.SIGINT, "loading", 130, "left before anything was begun"),
        ("train", signal.SIGTERM, "loading", 75, "left before anything was begun"),
        ("study", signal.SIGTERM, "after", 75, "start the same command again"),
        ("evaluate", signal.SIGTERM, "after", -signal.SIGTERM, ""),
    ],
)
def test_a_command_leaves_with_a_code_and_without_a_traceback(command, number, when, code, message):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, command, str(int(number)), when],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert message in done.stderr and "Traceback" not in done.stderr
