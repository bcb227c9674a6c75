"""Converts the weights of a PyTorch checkpoint to safetensors, and executes nothing in it.

Takes zip and legacy files, state dicts and training checkpoints; needs torch.

    python -m scripts.convert_torch_weights resnet18.pth resnet18.safetensors
    python -m scripts.convert_torch_weights checkpoint.pth ema.safetensors --entry=model_ema
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cnnjax.models.weights.files import WRAPPER, check_folder, sha256


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
    tensors = _tensors(checkpoint, is_tensor)
    if isinstance(checkpoint, Mapping):
        # A training checkpoint may have tensors of its own, such as the best accuracy.
        inner = {key: _tensors(value, is_tensor) for key, value in checkpoint.items()}
        inner = {key: found for key, found in inner.items() if found}
        if len(inner) > 1:
            raise ValueError(f"several entries hold weights; give --entry, one of {list(inner)}")
        tensors = next(iter(inner.values()), tensors)
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
        SystemExit: torch is missing, or the file cannot be read or holds more than data; the
            message explains what to do.
    """
    try:
        import torch
    except ImportError:
        raise SystemExit("reading a PyTorch checkpoint needs torch: pip install torch") from None
    import safetensors.torch

    if not source.is_file():
        raise SystemExit(f"there is no file {source}")
    try:
        check_folder(target)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    try:
        # torchvision's own training checkpoints hold the options of the command, which are data.
        with torch.serialization.safe_globals([argparse.Namespace]):
            checkpoint = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        # Only its first sentence: the others explain how to execute the file after all.
        reason = re.split(r"\.\s|\n", str(error).strip())[0].rstrip(".")
        raise SystemExit(
            f"{source} cannot be read as weights alone, and nothing in it was executed ({reason}). "
            "If it is a whole network or holds other objects, save its state_dict() where it was "
            "made"
        ) from None
    try:
        tensors = find_state_dict(checkpoint, torch.is_tensor, entry)
    except ValueError as error:
        raise SystemExit(f"{source}: {error}") from None
    # Copies: tensors may share memory or have gaps in it, which the format does not support.
    copies = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    safetensors.torch.save_file(copies, target, {"format": "pt"})
    print(f"{target}: {len(copies)} arrays, SHA-256 {sha256(target)}")


def _tensors(value: Any, is_tensor: Callable[[Any], bool]) -> dict[str, Any]:
    """Returns the tensors by name in a mapping; for anything else, none."""
    if not isinstance(value, Mapping):
        return {}
    return {key: v for key, v in value.items() if isinstance(key, str) and is_tensor(v)}


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
