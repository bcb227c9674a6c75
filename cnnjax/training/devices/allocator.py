"""How the C library hands memory back to the system, which costs a training step time."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from pathlib import Path

import jax

# Names of mallopt's parameters in glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
_LARGEST, _NO_LIMIT = 2**31 - 1, -1
_STEP = 64 * 2**20
_CHOICES = ("MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")

_logger = logging.getLogger(__name__)


def keep_freed_memory() -> bool:
    """Makes this process keep the memory it frees, instead of giving it back at once.

    On CPU XLA allocates the temporaries of a step anew for each step. glibc maps such large blocks
    freshly from the system and unmaps them afterwards, so that every page is faulted in and zeroed
    again in each step. Kept in one heap, pages stay. The process holds its peak until it ends.

    Nothing is done where the user chose otherwise by one of glibc's own variables
    (MALLOC_ARENA_MAX, MALLOC_MMAP_THRESHOLD_, MALLOC_TRIM_THRESHOLD_, GLIBC_TUNABLES), preloads
    another allocator, or where the C library is not glibc.

    Returns:
        Whether the setting was made.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    chosen = [name for name in _CHOICES if name in os.environ]
    chosen += ["GLIBC_TUNABLES"] if "malloc.arena" in tunables or "threshold" in tunables else []
    chosen += ["LD_PRELOAD"] if "malloc" in os.environ.get("LD_PRELOAD", "") else []
    if chosen:
        _logger.debug("the allocator is left as %s sets it", ", ".join(chosen))
        return False
    library = _glibc()
    if library is None:
        return False
    # One arena: the others, one a thread, never hold a block above 64 MB.
    settings = (
        (_ARENA_MAX, 1),
        (_MMAP_THRESHOLD, _LARGEST),
        (_TRIM_THRESHOLD, _LARGEST),
        (_TOP_PAD, _STEP),
    )
    return all(library.mallopt(name, ctypes.c_int(value)) for name, value in settings)


def keep_blocks_of(size: int) -> bool:
    """Makes a process that keeps freed memory keep blocks above 2 GiB too, if two of them fit.

    `keep_freed_memory` leaves these to the system: small blocks may take a freed one's place, so
    that the next one lies beside it, and the process grows by as much. MobileNet-v2's step with 64
    images, of 4 GB, takes half the time when they are kept.

    Args:
        size: bytes of a block that is allocated again and again.

    Returns:
        Whether the setting was made: not for smaller blocks, which are kept in any case.
    """
    library = _glibc()
    if size <= _LARGEST or library is None or not _keeps_memory(library):
        return False
    if 2 * size > _available():
        _logger.info("blocks of %.1f GB are not kept: two would not fit in memory", size / 1e9)
        return False
    settings = (_MMAP_THRESHOLD, _TRIM_THRESHOLD)
    return all(library.mallopt(name, ctypes.c_int(_NO_LIMIT)) for name in settings)


def keep_temporaries(program: jax.stages.Compiled) -> None:
    """Keeps the memory of a program's temporaries from one run to the next, as `keep_blocks_of`.

    Args:
        program: a compiled program that runs again and again; nothing is done outside CPU.
    """
    needed = program.memory_analysis()
    if needed is not None and jax.default_backend() == "cpu":
        keep_blocks_of(needed.temp_size_in_bytes)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


class _MallocInfo(ctypes.Structure):
    """What glibc's `mallinfo2` returns, from malloc.h."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _keeps_memory(library: ctypes.CDLL) -> bool:
    """Returns whether a large block comes from the heap: glibc does not tell what it was set to."""
    if not hasattr(library, "mallinfo2"):
        return False
    library.mallinfo2.restype = _MallocInfo
    library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    before = library.mallinfo2().hblks
    block = library.malloc(ctypes.c_size_t(_STEP))
    mapped = library.mallinfo2().hblks > before
    library.free(block)
    return not mapped


def _available() -> int:
    """Returns the bytes of memory that this process may still take."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free = 1024 * int(lines["MemAvailable"].split()[0])
    # A container's limit, of either version of control groups.
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = Path(path).read_text().strip() if Path(path).is_file() else ""
        free = min(free, int(limit)) if limit.isdigit() else free
    return free
