"""The C library's memory: kept by the process, unless its user has chosen."""

import ctypes
import json
import os
import subprocess
import sys

import pytest

GLIBC = sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")

PROGRAM = """
import json, resource, sys
from cnnjax.training.devices.allocator import keep_freed_memory
import numpy as np
made = keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def fill():
    np.ones(3 * 2**24, np.uint8)
fill()
before = faults()
for _ in range(8):
    fill()
print(json.dumps([made, faults() - before]))
"""


def run(**environment):
    """Returns whether the setting was made, and the pages faulted in by 8 arrays of 48 MB."""
    kept = {k: v for k, v in os.environ.items() if "MALLOC" not in k and k != "GLIBC_TUNABLES"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        # NumPy would ask for huge pages of its own accord, and fault in few.
        env=kept | {"NUMPY_MADVISE_HUGEPAGE": "0"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.process
@pytest.mark.skipif(not GLIBC, reason="the C library is not glibc")
def test_freed_pages_are_used_again():
    made, faults = run()
    left, faults_before = run(MALLOC_ARENA_MAX="8")
    assert made and not left
    # 48 MB are 12,288 pages of 4 KiB, which the system would hand out eight times.
    assert faults < 12288 < faults_before
