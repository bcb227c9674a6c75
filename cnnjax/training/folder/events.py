"""What happened to a run, in order: starts, stops, checkpoints and damage, as JSON lines."""

import time
from pathlib import Path
from typing import Any

from cnnjax.training.folder.json_lines import JsonLines, read_json_lines
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
    """Returns the events of a run in the order in which they were written.

    Args:
        workdir: the run's folder.
    """
    return read_json_lines(workdir / EVENTS_FILE)
