"""A command whose output is read no further ends quietly."""

import os
import subprocess
import sys

import pytest

from cnnjax.commands.closed_output import quiet_where_output_is_closed
from tests.helpers.processes import ROOT

pytestmark = pytest.mark.process

LAUNCHED = """
from cnnjax.commands.launch import launch


def main(arguments):
    print("text " * 100_000)


launch(main)
"""


@pytest.mark.parametrize(
    "program",
    [
        # More than a pipe holds, through the program of `experiments`; what stays in the buffer
        # until the end, through the console command.
        pytest.param(("-c", LAUNCHED), marks=pytest.mark.slow),
        ("-m", "cnnjax", "--help"),
    ],
)
def test_output_that_nobody_reads_is_no_error(program):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, *program],
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_other_broken_pipes_are_errors():
    with pytest.raises(BrokenPipeError, match="a worker"), quiet_where_output_is_closed():
        raise BrokenPipeError("a worker is gone")
