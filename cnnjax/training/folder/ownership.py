"""Whose a folder and its checkpoints are: what identifies a run, and its random number."""

import hashlib
import json
import secrets
from typing import Any, NamedTuple

from cnnjax.training.folder.json_files import COUNT, OBJECT, OBJECTS, Table, one_of

FORMAT = 3
"""Version of what a run folder holds; folders of another one are refused."""

CONFIG_TABLE: Table = {
    "format": COUNT,
    "made_by": one_of("configuration", "python"),
    "run": OBJECT,
    "parts": OBJECTS,
}
"""The entries of `config.json`, which each checkpoint's record repeats."""


class RunIdentity(NamedTuple):
    """What identifies the run of a folder.

    Attributes:
        made_by: "configuration", or "python" for a run made of objects.
        values: JSON values that distinguish the run from others.
        parts: records of foreign parts, for the names of such parts in `values`.
    """

    made_by: str
    values: dict[str, Any]
    parts: list[dict[str, Any]]

    @property
    def digest(self) -> str:
        """The SHA-256 of all but the parts, which may lie elsewhere at another start."""
        text = json.dumps([self.made_by, self.values], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def description(self) -> dict[str, Any]:
        """Returns the content of `config.json`."""
        made_by, values, parts = self
        return {"format": FORMAT, "made_by": made_by, "run": values, "parts": parts}


def identity_of(description: dict[str, Any]) -> RunIdentity:
    """Returns the identity that a description has.

    Args:
        description: entries as in `CONFIG_TABLE`.
    """
    return RunIdentity(description["made_by"], description["run"], description["parts"])


class Owner(NamedTuple):
    """The run that a checkpoint belongs to.

    Attributes:
        identity: the digest of the run's identity.
        run_id: the number made when the folder was started, which distinguishes runs of the same
            identity; None where it is not known.
    """

    identity: str
    run_id: str | None

    def difference(self, other: "Owner") -> str | None:
        """Returns in what another owner is another run, in words; None if it may be the same.

        Args:
            other: the owner that a checkpoint names.
        """
        if other.identity != self.identity:
            return "it was saved by a run of another configuration than config.json describes"
        if None not in (self.run_id, other.run_id) and other.run_id != self.run_id:
            return f"it was saved by run {other.run_id}, and this is run {self.run_id}"
        return None


def new_run_id() -> str:
    """Returns 128 random bits in hexadecimal."""
    return secrets.token_hex(16)
