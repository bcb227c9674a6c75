"""Python processes that a test starts, in the checkout's root if nothing else is given."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run_python(
    *arguments: Any,
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    text: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Returns a finished Python process with its exit code and what it printed.

    Args:
        *arguments: after the interpreter, such as "-c" and a program.
        cwd: working folder; elsewhere than in the root, the checkout is importable, too.
        environment: in place of this process's.
        text: what the process reads as standard input.
    """
    environment = os.environ if environment is None else environment
    if cwd != ROOT:
        environment = {**environment, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        input=text,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=300,
    )


def start_python(
    *arguments: Any, environment: Mapping[str, str] | None = None, **streams: Any
) -> subprocess.Popen[str]:
    """Starts a Python process, whose output is piped.

    Args:
        *arguments: after the interpreter, such as "-m" and a module.
        environment: in place of this process's.
        **streams: `stdout` or `stderr`, in place of pipes.
    """
    piped: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        text=True,
        **piped,
    )
