"""Which examples of a batch share their batch statistics."""

from dataclasses import dataclass
from typing import Literal, Protocol

from cnnjax.training.errors import ConfigError


class NormScope(Protocol):
    """Any object with the attributes of `BatchNormScope`."""

    @property
    def scope(self) -> Literal["global", "device", "group"]:
        """See `BatchNormScope.scope`."""
        ...

    @property
    def group_size(self) -> int | None:
        """See `BatchNormScope.group_size`."""
        ...


@dataclass(frozen=True)
class BatchNormScope:
    """Which examples share their batch statistics.

    Attributes:
        scope: "global": those of the whole batch, whatever devices they are on; "device": those on
            one device; "group": `group_size` of them.
        group_size: examples of a group.
    """

    scope: Literal["global", "device", "group"] = "global"
    group_size: int | None = None


def norm_groups(scope: NormScope, batch: int, shards: int) -> int:
    """Returns the number of groups of consecutive examples with batch statistics of their own.

    Args:
        scope: which examples share them.
        batch: examples, on all devices together, of one pass through the network.
        shards: number of devices that they are spread over.

    Raises:
        ConfigError: the scope is unknown, its groups do not divide the batch, or a size of groups
            is given for another scope.
    """
    if scope.scope in ("global", "device") and scope.group_size is not None:
        raise ConfigError(
            f"batch_norm.group_size: {scope.group_size} was given with the scope {scope.scope}; it "
            'belongs to scope="group": set that, or leave it out'
        )
    if scope.scope == "global":
        return 1
    if scope.scope == "device":
        return shards
    if scope.scope != "group":
        raise ConfigError(
            f"batch_norm.scope: {scope.scope!r} was given; choose global, device or group"
        )
    size = scope.group_size
    if size is None or batch % size:
        raise ConfigError(
            f"batch_norm.group_size: {size} was given for scope 'group'; give a divisor of the "
            f"{batch} examples that pass through the network at once"
        )
    return batch // size
