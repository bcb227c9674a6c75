"""The choice between the hand-derived backward rules and lax's own differentiation."""

from __future__ import annotations


def check_backward(op: str, backward: str) -> None:
    """Raises a ValueError unless `backward` is "ours" or "native"."""
    if backward not in ("ours", "native"):
        raise ValueError(f"{op}: backward must be 'ours' or 'native', got {backward!r}")
