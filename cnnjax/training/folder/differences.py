"""In which entries two nested tables of JSON values differ."""

from collections.abc import Iterator, Mapping
from typing import Any


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yields each entry that differs: its dotted name, and both values; None for none.

    Args:
        old: nested mappings.
        new: others.
        path: what the names begin with.
    """
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from differences(before, after, f"{path}{key}.")
        elif before != after:
            yield f"{path}{key}", before, after
