"""What happened to a run, in order: starts, stops, checkpoints and damage, as JSON lines."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cnnjax.training.folder.json_lines import (
    JsonLines,
    describe_damage,
    is_count,
    is_number,
    read_json_lines,
)
from cnnjax.training.folder.names import EVENTS_FILE


class EventLog:
    """Appends to a run's `events.jsonl`.

    Args:
        workdir: the run's folder.
    """

    def __init__(self, workdir: Path):
        self._lines = JsonLines(workdir / EVENTS_FILE)

    def write(self, event: str, step: int, **details: Any) -> None:
        """Writes one event.

        Args:
            event: what happened: "started", "resumed", "compiled", "saved", "stopped", "diverged",
                "profiled", "finished" or "failed".
            step: number of steps done at that time.
            **details: JSON values that belong to it.
        """
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self._lines.append({"time": now, "event": event, "step": step, **details})

    def close(self) -> None:
        """Closes the file."""
        self._lines.close()


def read_events(workdir: Path) -> list[dict[str, Any]]:
    """Returns the events of a run in the order in which they were written, as far as readable.

    Args:
        workdir: the run's folder.
    """
    return read_json_lines(workdir / EVENTS_FILE, _check)


def events_damage(workdir: Path) -> str | None:
    """Returns a sentence on the events that cannot be read; None if all can.

    Args:
        workdir: the run's folder.
    """
    return describe_damage(workdir / EVENTS_FILE, _check)


def _check(event: dict[str, Any]) -> str | None:
    """Returns what is wrong with an event."""
    for name in ("time", "event"):
        if not isinstance(event.get(name), str):
            return f"{name} is no text"
    if not is_count(event.get("step")):
        return "step is no whole number"
    for name in _NEEDED.get(event["event"], ()):
        if name not in event:
            return f"{name} is missing"
    for name, (fits, expected) in _DETAILS.items():
        if event.get(name) is not None and not fits(event[name]):
            return f"{name} is no {expected}"
    if event.get("metric") is not None and event.get("value") is None:
        return "value is missing"
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_NEEDED = {"compiled": ("seconds",), "stopped": ("signal",), "diverged": ("message",)}

_DETAILS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "seconds": (is_number, "number"),
    "score": (is_number, "number"),
    "value": (is_number, "number"),
    "metric": (_is_text, "text"),
    "message": (_is_text, "text"),
    "damaged": (lambda v: isinstance(v, list) and all(map(is_count, v)), "list of steps"),
    "left_out": (
        lambda v: isinstance(v, dict) and all(map(_is_text, v.values())),
        "table of images and reasons",
    ),
}
"""What a report reads of an event, where it has it."""
