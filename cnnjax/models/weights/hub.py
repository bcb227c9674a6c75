"""Published weights by name, through the Hugging Face hub's own client, with their checksums kept.

The hub stores a large file under its SHA-256, and its client keeps it under that name. A later read
must find the checksum of the first download, which is kept in a file with one line a download.
"""

import json
import os
import re
from pathlib import Path

from cnnjax import digests
from cnnjax.models.weights.mismatch import WeightsError
from cnnjax.nearest import did_you_mean
from cnnjax.writing import write_json

HUB_PREFIX = "hub:"
"""The start of a name of published weights, where a file may be named too."""

# Registered networks and the repositories of their weights, all for `source="timm"`: torchvision's
# first weights ("tv") where there are any. From timm 1.0's table of pretrained networks.
REPOSITORIES: dict[str, str] = {
    **{
        name: f"timm/{name}.tv_in1k"
        for name in (
            *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
            *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
            "wide_resnet50_2",
            "wide_resnet101_2",
            "resnext50_32x4d",
            "inception_v3",
            *(f"densenet{depth}" for depth in (121, 161, 169, 201)),
        )
    },
    "mobilenet_v2": "timm/mobilenetv2_100.ra_in1k",
    "mobilenet_v2_050": "timm/mobilenetv2_050.lamb_in1k",
    "mobilenet_v2_140": "timm/mobilenetv2_140.ra_in1k",
    "preact_resnet50": "timm/resnetv2_50.a1h_in1k",
    "preact_resnet101": "timm/resnetv2_101.a1h_in1k",
}


def weights_path(name: str | os.PathLike[str]) -> Path:
    """Returns the path of weights; published ones are downloaded.

    Args:
        name: a path, or `HUB_PREFIX` and what `download_pretrained` takes.

    Raises:
        ImportError: published weights are named, and `huggingface_hub` is not installed.
        ValueError: nothing is published under the name.
        ConnectionError: see `download_pretrained`.
    """
    if isinstance(name, str) and name.startswith(HUB_PREFIX):
        return download_pretrained(name.removeprefix(HUB_PREFIX))
    return Path(name)


def download_pretrained(
    name: str,
    *,
    revision: str = "main",
    filename: str = "model.safetensors",
    cache_dir: str | os.PathLike[str] | None = None,
) -> Path:
    """Downloads published weights from the Hugging Face hub, or finds them in the client's cache.

    For example `load_pretrained(model, download_pretrained("resnet50"), source="timm")`.

    Args:
        name: a registered network in `REPOSITORIES`, or any repository, "owner/name".
        revision: branch, tag or commit.
        filename: the file in the repository.
        cache_dir: where checksums are kept, in `checksums.json`; None for `$XDG_CACHE_HOME/cnnjax`,
            or `~/.cache/cnnjax`. The client keeps the weights themselves in a cache of its own.

    Returns:
        The path of the file, after its checksum was verified.

    Raises:
        ImportError: `huggingface_hub` is not installed.
        ValueError: no weights are known under that name (the message gives the nearest), or the hub
            has no such repository, revision or file.
        ConnectionError: the file is not in the cache, and there is no connection to the hub.
        WeightsError: the file has another checksum than the hub's, or than it had the first time.
    """
    repository = REPOSITORIES.get(name, name)
    if "/" not in repository:
        raise ValueError(
            f"no published weights are known for {name!r}; {did_you_mean(name, REPOSITORIES)}"
            "any repository of the hub can be given as 'owner/name'"
        )
    path = _fetch(repository, revision, filename)
    _verify(path, f"{repository}/{filename}@{revision}", _checksums_file(cache_dir))
    return path


def _fetch(repository: str, revision: str, filename: str) -> Path:
    """Returns the path of a file that is downloaded, or found in the client's cache."""
    try:
        import huggingface_hub  # pyright: ignore[reportMissingImports]
        from huggingface_hub import errors  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            f"downloading weights needs {error.name}, which is not installed: pip install "
            "'cnnjax[hub]'; or download the file yourself and give its path to load_pretrained"
        ) from error
    try:
        return Path(huggingface_hub.hf_hub_download(repository, filename, revision=revision))
    except errors.LocalEntryNotFoundError as error:
        raise ConnectionError(
            f"{repository}/{filename} is not in the cache, and the Hugging Face hub cannot be "
            "reached (no connection, or HF_HUB_OFFLINE is set); download the file where there is "
            "a connection, and give its path to load_pretrained"
        ) from error
    except (
        errors.RepositoryNotFoundError,
        errors.RevisionNotFoundError,
        errors.EntryNotFoundError,
    ) as error:
        raise ValueError(
            f"the Hugging Face hub has no {filename} in {repository} at {revision}: {error}"
        ) from error


def _verify(path: Path, key: str, kept_in: Path) -> None:
    """Compares a file's checksum with the one kept, or with the hub's, and then keeps it."""
    kept = _kept_checksums(kept_in)
    blob = path.resolve().name
    # The client's cache names a large file by the checksum that the hub gave for it.
    published = blob if re.fullmatch("[0-9a-f]{64}", blob) else None
    found = digests.of_file(path)
    if published is not None and found != published:
        raise WeightsError(
            f"{path} is damaged: its SHA-256 is {found}, the hub's is {published}; remove it and "
            "download it again"
        )
    # A tag or branch of the hub may move to another file.
    if key in kept and found != kept[key]:
        raise WeightsError(
            f"{key} was {kept[key]} (SHA-256) when it was first downloaded, and is {found} now; if "
            f"this change is expected, remove its line from {kept_in}"
        )
    if key not in kept:
        kept_in.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept_in, {**kept, key: found}, sort_keys=True)


def _kept_checksums(path: Path) -> dict[str, str]:
    """Returns the checksums of earlier downloads, by what was downloaded."""
    if not path.exists():
        return {}
    try:
        kept = json.loads(path.read_bytes())
        problem = "" if isinstance(kept, dict) else "it holds no JSON object"
    except (OSError, ValueError) as error:
        kept, problem = {}, str(error)
    if problem:
        raise WeightsError(
            f"the file of kept checksums {path} cannot be read: {problem}; restore it, or remove "
            "it to trust the next downloads"
        )
    return kept


def _checksums_file(cache_dir: str | os.PathLike[str] | None) -> Path:
    """Returns the path of the file of checksums."""
    if cache_dir is None:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        cache_dir = Path(root) / "cnnjax"
    return Path(cache_dir) / "checksums.json"
