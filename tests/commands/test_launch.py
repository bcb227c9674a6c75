"""What all commands share: names that the output's encoding lacks do not end them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = r"""
from cnnjax.commands.launch import launch


def main(arguments):
    print("caf\udce9 \u7d05")


launch(main)
"""


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_names_that_the_output_cannot_hold_are_printed_as_escapes(encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(rb"caf\xe9 ")


FAILING = """
import jax
from cnnjax.commands.launch import launch


def main(arguments):
    raise jax.errors.JaxRuntimeError({message!r})


launch(main)
"""


@pytest.mark.parametrize(
    "message",
    [
        "RESOURCE_EXHAUSTED: Out of memory allocating 48001344009408 bytes.",
        "INTERNAL: Error dispatching computation: Out of memory allocating 5 bytes.",
    ],
)
def test_memory_that_does_not_suffice_is_a_message(message):
    done = subprocess.run(
        [sys.executable, "-c", FAILING.format(message=message)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert f"error: the memory does not suffice ({message})" in done.stderr
    assert "--config.optimizer.accumulate" in done.stderr


def test_other_errors_of_jax_are_faults_with_a_traceback():
    done = subprocess.run(
        [sys.executable, "-c", FAILING.format(message="INTERNAL: a fault")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "JaxRuntimeError: INTERNAL: a fault" in done.stderr
