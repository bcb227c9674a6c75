import subprocess
import sys
from pathlib import Path

import pytest

from cnnjax.training.folder.environment import describe_code, environment_differences

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_the_commit_of_a_checkout_is_known():
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    found = describe_code()
    assert found["commit"] == commit.stdout.strip()
    assert found["dirty"] in (True, False)
    assert found["command"] == " ".join(sys.orig_argv)


def test_every_entry_that_differs_has_a_line():
    before = {"versions": {"jax": "0.1.0", "flax": "1"}, "cores": 2}
    after = {"versions": {"jax": "0.2.0", "flax": "1"}, "machine": "x86_64", "cores": 2}
    assert environment_differences(before, after) == [
        "machine: None before, x86_64 now",
        "versions.jax: 0.1.0 before, 0.2.0 now",
    ]
    assert environment_differences(before, before) == []
