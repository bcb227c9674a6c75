"""The flag for the largest image that is decoded."""

from absl import flags

from cnnjax import data

GROUP = "Data"

_MAX_PIXELS = flags.DEFINE_integer(
    "max_pixels",
    data.MAX_PIXELS,
    "Largest number of pixels of an image; larger ones count as damaged, and are not decoded.",
    lower_bound=1,
)


def read_max_pixels() -> int:
    """Returns the largest number of pixels of an image that is decoded."""
    return _MAX_PIXELS.value
