"""How the C library hands memory back to the system, which costs a training step time."""

from __future__ import annotations

import ctypes
import logging
import os
import sys

# Names of mallopt's parameters in glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
_LARGEST = 2**31 - 1
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
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    # One arena: the others, one a thread, never hold a block above 64 MB.
    settings = (
        (_ARENA_MAX, 1),
        (_MMAP_THRESHOLD, _LARGEST),
        (_TRIM_THRESHOLD, _LARGEST),
        (_TOP_PAD, _STEP),
    )
    return all(library.mallopt(name, ctypes.c_int(value)) for name, value in settings)
