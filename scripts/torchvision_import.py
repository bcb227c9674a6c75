"""Imports torchvision, even if its wheel was built for another build of torch."""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any

_DECLARED: list[Any] = []


@functools.cache
def import_torchvision() -> ModuleType:
    """Returns the package torchvision.

    With another build of torch its compiled operators are missing, whose signatures it reads on
    import. None of the compared networks uses them, so declaring them is enough. Where they are
    there, declaring them first would end the process.

    Raises:
        ImportError: torch or torchvision is missing.
    """
    try:
        import torchvision  # pyright: ignore[reportMissingImports]
    # "operator torchvision::nms does not exist"
    except RuntimeError:
        _declare_operators()
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        import torchvision  # pyright: ignore[reportMissingImports]

    return torchvision


def _declare_operators() -> None:
    """Declares the operators that torchvision reads on import."""
    import torch  # pyright: ignore[reportMissingImports]

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    # Declarations exist as long as the library object.
    _DECLARED.append(library)
