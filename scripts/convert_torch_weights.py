"""Converts the weights of a PyTorch checkpoint to safetensors, and executes nothing in it.

Takes zip and legacy files, state dicts and training checkpoints; needs torch. The checksums of a
zip file are verified; a legacy file has none: compare its SHA-256 with the published one.

    python -m scripts.convert_torch_weights resnet18.pth resnet18.safetensors
    python -m scripts.convert_torch_weights checkpoint.pth ema.safetensors --entry=model_ema
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import contextlib
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cnnjax import digests, writing
from cnnjax.models.weights.files import WRAPPER, check_folder, open_tensors
from cnnjax.models.weights.mismatch import WeightsError


def find_state_dict(
    checkpoint: Any, is_tensor: Callable[[Any], bool], entry: str | None = None
) -> dict[str, Any]:
    """Returns the weights in the contents of a checkpoint.

    Args:
        checkpoint: the contents.
        is_tensor: whether a value is a tensor.
        entry: key of the state dict in a training checkpoint, "a.b" for one within another; None if
            there is one only.

    Returns:
        Tensors by name. If some names have the prefix "module." of a wrapped network, only these
        tensors, without the prefix.

    Raises:
        ValueError: there are no weights, or several sets of them.
    """
    for key in entry.split(".") if entry else ():
        if not isinstance(checkpoint, Mapping) or key not in checkpoint:
            raise ValueError(f"there is no entry {entry!r}; there are {_entries(checkpoint)}")
        checkpoint = checkpoint[key]
    tensors, chosen = _tensors(checkpoint, is_tensor), checkpoint
    if isinstance(checkpoint, Mapping):
        # A training checkpoint may have tensors of its own, such as the best accuracy.
        inner = {key: _tensors(value, is_tensor) for key, value in checkpoint.items()}
        inner = {key: found for key, found in inner.items() if found}
        if len(inner) > 1:
            raise ValueError(f"several entries hold weights; give --entry, one of {list(inner)}")
        for key, found in inner.items():
            tensors, chosen = found, checkpoint[key]
    _check_names(chosen, is_tensor)
    if not tensors:
        raise ValueError(f"no tensors by name were found; there are {_entries(checkpoint)}")
    # A wrapper has tensors of its own beside the network's, such as the number of averages.
    wrapped = {
        name.removeprefix(WRAPPER): tensor
        for name, tensor in tensors.items()
        if name.startswith(WRAPPER)
    }
    return wrapped or tensors


def convert(source: Path, target: Path, entry: str | None = None) -> None:
    """Writes the weights of a PyTorch checkpoint as safetensors.

    Args:
        source: the checkpoint.
        target: the file to write.
        entry: see `find_state_dict`.

    Raises:
        SystemExit: torch is missing, the file cannot be read or holds more than data, or the other
            one cannot be written; the message explains what to do.
    """
    try:
        import torch
    except ImportError:
        raise SystemExit("reading a PyTorch checkpoint needs torch: pip install torch") from None

    if not source.is_file():
        raise SystemExit(f"there is no file {source}")
    try:
        check_folder(target)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    if target.exists() and not target.is_file():
        raise SystemExit(f"{target} cannot be written: it is no file")
    checkpoint = _read(torch, source)
    try:
        tensors = find_state_dict(checkpoint, torch.is_tensor, entry)
    except ValueError as error:
        raise SystemExit(f"{source}: {error}") from None
    _write(tensors, source, target)
    print(f"{target}: {len(tensors)} arrays, SHA-256 {digests.of_file(target)}")


def _read(torch: Any, source: Path) -> Any:
    """Returns the contents of a checkpoint, without executing anything in it."""
    if source.stat().st_size == 0:
        raise SystemExit(f"{source} is empty; copy or download it again")
    with contextlib.suppress(WeightsError), open_tensors(source):
        raise SystemExit(f"{source} is a safetensors file already; nothing is to be converted")
    _verify_archive(source)
    try:
        # torchvision's own training checkpoints hold the options of the command, which are data.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(source, map_location="cpu", weights_only=True)
    # Damaged bytes end torch's readers by errors of any class: KeyError, struct.error, ...
    except Exception as error:
        # Only its first sentence: the others explain how to execute the file after all.
        reason = re.split(r"\.\s|\n", str(error).strip())[0].rstrip(".")
        raise SystemExit(
            f"{source} cannot be read as weights alone, and nothing in it was executed "
            f"({reason or type(error).__name__}). If it is damaged, copy or download it again; if "
            "it is a whole network or holds other objects, save its state_dict() where it was made"
        ) from None


def _verify_archive(source: Path) -> None:
    """Verifies the checksums in a zip file, which torch reads without; a legacy file has none."""
    with source.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return
    try:
        with zipfile.ZipFile(source) as archive:
            # torch compresses nothing: an entry that is may be far larger than its file.
            packed = [
                e.filename for e in archive.infolist() if e.compress_type != zipfile.ZIP_STORED
            ]
            damaged = None if packed else archive.testzip()
    # Damaged bytes end this reader, too, by errors of several classes.
    except Exception as error:
        raise SystemExit(
            f"{source} is a damaged archive ({error}); copy or download it again"
        ) from None
    if packed:
        raise SystemExit(f"{source} was not written by torch.save: {packed[0]} is compressed")
    if damaged is not None:
        raise SystemExit(
            f"{source}: {damaged} has another checksum than it was saved with; copy or download "
            "the file again. If torch wrote no checksums (set_crc32_options(False)), save it "
            "again with them"
        )


def _write(tensors: Mapping[str, Any], source: Path, target: Path) -> None:
    """Writes tensors as safetensors; where that fails, what was at the target stays."""
    import safetensors.torch

    copies = {}
    for name, tensor in tensors.items():
        try:
            # Copies: tensors may share memory or have gaps in it, which the format does not have.
            copies[name] = tensor.detach().clone().contiguous()
            name.encode()
            if tensor.is_complex() or tensor.is_quantized or tensor.is_meta:
                raise TypeError(f"its values are {tensor.dtype} on {tensor.device}")
        except Exception as error:  # sparse, quantized or nested tensors, or a name without UTF-8
            raise SystemExit(f"{source}: {name!r} cannot be converted: {error}") from None
    try:
        with writing.aside(target) as temporary:
            safetensors.torch.save_file(copies, temporary, {"format": "pt"})
    # A full disk is an OSError or a SafetensorError, depending on who writes.
    except Exception as error:
        raise SystemExit(f"{target} cannot be written: {error}") from None


def _tensors(value: Any, is_tensor: Callable[[Any], bool]) -> dict[str, Any]:
    """Returns the tensors by name in a mapping; for anything else, none."""
    if not isinstance(value, Mapping):
        return {}
    return {key: v for key, v in value.items() if isinstance(key, str) and is_tensor(v)}


def _check_names(chosen: Any, is_tensor: Callable[[Any], bool]) -> None:
    """Refuses tensors under keys that are no text: they would be left out."""
    if isinstance(chosen, Mapping):
        unnamed = [key for key, v in chosen.items() if is_tensor(v) and not isinstance(key, str)]
        if unnamed:
            raise ValueError(f"names of tensors are texts, got {', '.join(map(repr, unnamed[:3]))}")


def _entries(checkpoint: Any) -> str:
    """Returns the keys of a checkpoint, for messages."""
    if not isinstance(checkpoint, Mapping):
        return f"only a {type(checkpoint).__name__}"
    return ", ".join(map(str, checkpoint)) or "no entries"


def main() -> None:
    """Reads the command line and converts."""
    parser = argparse.ArgumentParser(description="Convert a PyTorch checkpoint to safetensors.")
    parser.add_argument("source", type=Path, help="the checkpoint (.pth, .pt, .tar)")
    parser.add_argument("target", type=Path, help="the safetensors file to write")
    parser.add_argument("--entry", help="key of the state dict, where there are several")
    arguments = parser.parse_args()
    convert(arguments.source, arguments.target, arguments.entry)


if __name__ == "__main__":
    main()
