"""Finding, opening and describing sets that TFDS prepared, without TensorFlow or a network."""

import contextlib
import io
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cnnjax.data.errors import DataError

# TFDS is imported within functions, since that takes seconds.
_logger = logging.getLogger(__name__)

# Folders with other names are configurations, or not finished.
_VERSION = re.compile(r"\d+\.\d+\.\d+")


class PreparedInfo(NamedTuple):
    """The metadata that TFDS wrote about a prepared set."""

    image_shape: tuple[int, int, int] | None
    class_names: tuple[str, ...]
    split_sizes: dict[str, int]
    homepage: str


def data_folder(data_dir: str | None) -> Path:
    """Returns the folder of prepared sets.

    Args:
        data_dir: the folder; None means TFDS's default: `$TFDS_DATA_DIR`, or else
            `~/tensorflow_datasets`.
    """
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    # Unlike pathlib's, it takes `~name` of an unknown user as it is.
    return Path(os.path.expanduser(chosen))


def find_prepared(tfds_name: str, data_dir: str | None) -> Path | None:
    """Returns the folder of the newest prepared version of a set, None if there is none.

    Args:
        tfds_name: name, or name/configuration.
        data_dir: TFDS data folder; None means TFDS's default.

    Raises:
        DataError: the folder of the set cannot be listed.
    """
    folder = data_folder(data_dir) / tfds_name
    # Unlike pathlib's, it returns False for names that no file can have.
    if not os.path.isdir(folder):
        return None
    try:
        # TFDS writes elsewhere and then renames, so that a folder of that name is complete.
        versions = [
            path
            for path in folder.iterdir()
            if _VERSION.fullmatch(path.name) and (path / "dataset_info.json").exists()
        ]
    except OSError as error:
        raise DataError(f"data_dir: {folder} cannot be listed: {error}") from error
    # By numbers: as text, 10.0.0 comes before 9.0.0.
    return max(
        versions, key=lambda path: [int(part) for part in path.name.split(".")], default=None
    )


def not_prepared(tfds_name: str, data_dir: str | None) -> DataError:
    """Returns the error for a set that is not prepared: its folder, and the command to prepare it.

    Args:
        tfds_name: name, or name/configuration.
        data_dir: TFDS data folder; None means TFDS's default.
    """
    base = tfds_name.partition("/")[0]
    folder = data_folder(data_dir)
    # A user may have prepared another configuration of the set.
    configurations = sorted(
        f"{base}/{path.name}"
        for path in (folder / base).glob("*")
        if path.is_dir() and find_prepared(f"{base}/{path.name}", data_dir)
    )
    others = f" (prepared there: {', '.join(configurations)})" if configurations else ""
    return DataError(
        f"dataset: {tfds_name} is not prepared in {folder}{others}; "
        f"run: {_command(tfds_name, data_dir)}"
    )


def prepare_again(tfds_name: str, data_dir: str | None) -> str:
    """Returns what a user does about a prepared set that is damaged: the end of a message.

    Args:
        tfds_name: name, or name/configuration.
        data_dir: TFDS data folder; None means TFDS's default.
    """
    return f"delete that folder and run: {_command(tfds_name, data_dir)}"


def refuse_unfinished(tfds_name: str, data_dir: str | None) -> None:
    """Refuses a set whose folder has the name of a version, and no description.

    TFDS neither reads such a folder nor prepares the set beside it.

    Args:
        tfds_name: name, or name/configuration.
        data_dir: TFDS data folder; None means TFDS's default.

    Raises:
        DataError: there is such a folder.
    """
    folder = data_folder(data_dir) / tfds_name
    for path in folder.iterdir() if folder.is_dir() else ():
        if _VERSION.fullmatch(path.name) and not (path / "dataset_info.json").exists():
            raise DataError(
                f"dataset: {path} has no dataset_info.json; {prepare_again(tfds_name, data_dir)}"
            )


def _command(tfds_name: str, data_dir: str | None) -> str:
    option = f" --data_dir={data_dir}" if data_dir else ""
    return f"cnnjax prepare {tfds_name}{option}"


def open_prepared(folder: Path) -> Any:
    """Returns a TFDS builder that reads a prepared set, without the code that wrote it.

    Args:
        folder: folder of the prepared version of the set.

    Raises:
        DataError: the set's description is damaged, or the set has a format on disk that TFDS
            cannot read without TensorFlow.
    """
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(str(folder))
    # TFDS, protobuf and json each raise errors of their own for damaged descriptions.
    except Exception as error:
        raise DataError(
            f"dataset: TFDS cannot read its description of {folder}: {error}; delete that folder "
            "and prepare the set again, with cnnjax prepare"
        ) from error
    form = builder.info.file_format
    if form is None or form.value != "array_record":
        raise DataError(
            f"dataset: {folder} is prepared as {form and form.value}; only array_record is read "
            "without TensorFlow: prepare it in another folder, with cnnjax prepare"
        )
    return builder


def read_info(folder: Path) -> PreparedInfo:
    """Reads the metadata that TFDS wrote about a prepared set.

    Args:
        folder: folder of the prepared version of the set.

    Raises:
        DataError: the set does not consist of labeled images.
    """
    import tensorflow_datasets as tfds

    info = open_prepared(folder).info
    features = dict(info.features)
    image, label = (features.get(key) for key in ("image", "label"))
    if not (isinstance(image, tfds.features.Image) and isinstance(label, tfds.features.ClassLabel)):
        raise DataError(
            f"dataset: {folder} has the features {sorted(features)}; "
            "expected an image named `image` and a class named `label`"
        )
    declared: Any = image.shape
    shape = tuple(declared)
    return PreparedInfo(
        image_shape=None if None in shape[:2] else shape,
        class_names=tuple(label.int2str(i) for i in range(label.num_classes or 0)),
        split_sizes={name: split.num_examples for name, split in info.splits.items()},
        homepage=info.homepage,
    )


@contextlib.contextmanager
def quiet_tfds() -> Iterator[None]:
    """Keeps TFDS from printing to standard output and from advice on faster JPEG decoders.

    Both are useful for a set that takes minutes, but not for one that takes a second.
    """
    import tensorflow_datasets as tfds

    advice = logging.getLogger("absl")
    level = advice.level
    tfds.disable_progress_bar()
    advice.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        advice.setLevel(level)
        tfds.enable_progress_bar()
