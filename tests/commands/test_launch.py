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
    assert done.stdout.startswith(rb"caf\udce9 ")
