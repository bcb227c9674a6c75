"""The code of docs/parts.md runs, each block by itself."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "parts.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.process
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_block_runs_and_prints_what_its_comments_say(number):
    done = subprocess.run(
        [sys.executable, "-c", BLOCKS[number]], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    said = re.findall(r"print\(.*# (\([^)]*\)|[\d.]+)", BLOCKS[number])
    for found, expected in zip(done.stdout.split("\n"), said, strict=False):
        assert found.startswith(expected)
