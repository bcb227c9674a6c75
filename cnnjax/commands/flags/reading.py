"""Flags for reading a dataset's images; results do not depend on them."""

from typing import cast

from absl import flags

from cnnjax import data
from cnnjax.commands.flags.max_pixels import read_max_pixels

GROUP = "Data"

_RESIDENT = flags.DEFINE_enum(
    "resident",
    "auto",
    ["auto", "always", "never"],
    "Keep the whole set on the device; 'auto' does so if its images have one size and take at most "
    "2 GiB, and streams other sets.",
)
_DECODE_THREADS = flags.DEFINE_integer(
    "decode_threads",
    None,
    "Threads that decode streamed images; one per CPU core if not given.",
    lower_bound=1,
)
_DECODE_PROCESSES = flags.DEFINE_integer(
    "decode_processes",
    0,
    "Processes that decode streamed images, each with its threads; 0 decodes in this one.",
    lower_bound=0,
)
_MAX_DAMAGED = flags.DEFINE_integer(
    "max_damaged",
    10,
    "How many unreadable streamed images are left out before the run stops.",
    lower_bound=0,
)


def read_options() -> data.ReadOptions:
    """Returns how images are read."""
    return data.ReadOptions(
        cast(data.Resident, _RESIDENT.value),
        data.Workers(_DECODE_THREADS.value, _DECODE_PROCESSES.value),
        _MAX_DAMAGED.value,
        read_max_pixels(),
    )
