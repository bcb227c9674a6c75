"""Imports torchvision, even if its wheel was built for another build of torch."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

_DECLARED: list[Any] = []


@functools.cache
def import_torchvision() -> ModuleType:
    """Returns the package torchvision.

    With another build of torch its compiled operators are missing, whose signatures it reads on
    import. None of its classification networks uses them, so declaring them is enough.

    Raises:
        ImportError: torch or torchvision is missing.
    """
    import torch  # pyright: ignore[reportMissingImports]

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    # Declarations exist as long as the library object.
    _DECLARED.append(library)
    import torchvision  # pyright: ignore[reportMissingImports]

    return torchvision
