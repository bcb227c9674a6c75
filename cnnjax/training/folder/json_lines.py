"""Files of JSON lines that survive the end of the process that writes them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class JsonLines:
    """Appends JSON objects to a file, each on a line of its own and written at once.

    Args:
        path: the file; it is made if it does not exist.
    """

    def __init__(self, path: Path):
        cut = path.exists() and not path.read_bytes().endswith(b"\n")
        # With line buffering, a finished line survives a killed process.
        self._file = path.open("a", buffering=1)
        if cut:
            # A process ended within the last line; the next line must not be joined to it.
            self._file.write("\n")

    def append(self, values: Mapping[str, Any]) -> None:
        """Writes one line.

        Args:
            values: the JSON object.
        """
        self._file.write(json.dumps(values) + "\n")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Returns the objects of a file in their order, without lines that a process's end cut off.

    Args:
        path: the file; where it does not exist there are no lines.
    """
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines
