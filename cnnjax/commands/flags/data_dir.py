"""The flag for the folder of prepared datasets."""

from absl import flags

GROUP = "Data"

_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "TFDS data folder; TFDS's own default if not given."
)


def read_data_dir() -> str | None:
    """Returns the TFDS data folder."""
    return _DATA_DIR.value
