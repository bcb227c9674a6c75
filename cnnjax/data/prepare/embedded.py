"""Sets that need no network, since their images come with an installed package."""

import logging
from pathlib import Path
from typing import Any

from cnnjax.data.data_folder import preparing
from cnnjax.data.dataset import Dataset
from cnnjax.data.prepare.scenes import SceneForm
from cnnjax.data.read.tfds_store import (
    data_folder,
    find_prepared,
    not_prepared,
    quiet_tfds,
    refuse_unfinished,
)

_logger = logging.getLogger(__name__)

EMBEDDED = ("digits", "digit_scenes")
"""Names of the sets that are prepared when they are first read."""


def require_prepared(dataset: Dataset, data_dir: str | None) -> Path:
    """Returns the folder of a TFDS set; one that needs no network is prepared if it is missing.

    Args:
        dataset: the set, from `catalogue.dataset`.
        data_dir: TFDS data folder; None means TFDS's default.

    Raises:
        DataError: the set is not prepared; nothing was downloaded.
        DataFolderError: a set is prepared, and the data folder cannot be written.
    """
    folder = find_prepared(dataset.tfds_name, data_dir)
    if folder is not None:
        return folder
    if dataset.base_name not in EMBEDDED:
        raise not_prepared(dataset.tfds_name, data_dir)
    refuse_unfinished(dataset.tfds_name, data_dir)
    with preparing(data_folder(data_dir), dataset.tfds_name):
        # Another process may have prepared it during the wait.
        folder = find_prepared(dataset.tfds_name, data_dir)
        if folder is not None:
            return folder
        with quiet_tfds():
            builder = _builder(dataset, str(data_folder(data_dir)))
            _logger.info("building %s in %s", dataset.name, builder.data_dir)
            builder.download_and_prepare()
    return Path(builder.data_dir)


def _builder(dataset: Dataset, data_dir: str) -> Any:
    # Imported here, since both import TFDS, which takes seconds.
    if dataset.base_name == "digits":
        from cnnjax.data.prepare.digits import Digits

        return Digits(data_dir=data_dir, file_format="array_record")
    from cnnjax.data.prepare.digit_scenes import DigitScenes

    return DigitScenes(SceneForm.of(dataset.config), data_dir)
