"""Registries that forget what a test registers."""

from typing import Any

import pytest


def keep_as_it_is(registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Undoes after the test whatever it adds to a registry of parts."""
    for table in ("_parts", "_places"):
        monkeypatch.setattr(registry, table, dict(getattr(registry, table)))
