"""The entries in which two nested tables of JSON values differ."""

from collections.abc import Iterator, Mapping
from typing import Any


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yields each entry that differs: its dotted name, and both values; None where one is missing.

    Args:
        old: nested mappings of JSON values.
        new: the mappings that they are compared with.
        path: prefix of the names.
    """
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from differences(before, after, f"{path}{key}.")
        elif before != after:
            yield f"{path}{key}", before, after
