"""Which examples share their batch statistics."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class BatchNormScope:
    """Which examples share their batch statistics.

    Attributes:
        scope: "global": those of the whole batch, whatever devices they are on; "device": those on
            one device; "group": `group_size` of them.
        group_size: examples of a group; for "group" alone.
    """

    scope: Literal["global", "device", "group"] = "global"
    group_size: int | None = None
