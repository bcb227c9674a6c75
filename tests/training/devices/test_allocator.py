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


LARGE = """
import json, resource, sys
from cnnjax.training.devices import allocator
import numpy as np
size = 2**31 + 2**24
kept = allocator.keep_freed_memory() if "keep" in sys.argv else None
made = [allocator.keep_blocks_of(2**20), allocator.keep_blocks_of(size)]
allocator._available = lambda: 2 * size - 1
made.append(allocator.keep_blocks_of(size))
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
fill = lambda: np.empty(size, np.uint8)[::4096].fill(1)
fill()
before = faults()
for _ in range(3):
    fill()
print(json.dumps([made, faults() - before]))
"""


def run(program=PROGRAM, *arguments, **environment):
    """Returns whether settings were made, and the pages that a program's arrays fault in."""
    kept = {k: v for k, v in os.environ.items() if "MALLOC" not in k and k != "GLIBC_TUNABLES"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
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


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(
    not (GLIBC and hasattr(ctypes.CDLL(None), "mallinfo2")), reason="glibc 2.33 or later is needed"
)
def test_blocks_above_2_gib_are_kept_where_freed_memory_is_and_two_fit():
    made, faults = run(LARGE, "keep")
    assert made == [False, True, False]
    # Each block has 528,384 pages of 4 KiB.
    assert faults < 528384
    made, faults = run(LARGE)
    assert made == [False, False, False]
    assert faults >= 3 * 528384
