"""The least time of a program from its FLOPs, its bytes and a chip's published peaks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """What a chip's maker publishes.

    Attributes:
        flops: bfloat16 operations a second.
        memory_bytes: of its memory.
        memory_speed: bytes a second from and to its memory.
        link_speed: bytes a second to the other chips.
    """

    flops: float
    memory_bytes: float
    memory_speed: float
    link_speed: float


CHIPS = {"v5e": Chip(flops=197e12, memory_bytes=16e9, memory_speed=819e9, link_speed=200e9)}
"""Chips by name. Source: Google Cloud's page "TPU v5e": 197 TFLOPs, 16 GB, 819 GBps, 1600 Gbps."""


@dataclass(frozen=True)
class Roofline:
    """The least times that the peaks allow; a prediction, which no run has confirmed.

    Attributes:
        arithmetic: seconds of the FLOPs.
        memory: seconds of the bytes from and to memory.
        links: seconds of the sums over chips.
    """

    arithmetic: float
    memory: float
    links: float

    @property
    def seconds(self) -> float:
        """The longest of the three, as if they overlapped without a gap."""
        return max(self.arithmetic, self.memory, self.links)

    @property
    def limit(self) -> str:
        """The name of the longest."""
        times = {"arithmetic": self.arithmetic, "memory": self.memory, "links": self.links}
        return max(times, key=lambda name: times[name])


def roofline(
    flops: float, bytes_accessed: float, *, summed_bytes: float = 0, chips: int = 1, chip: str
) -> Roofline:
    """Returns the least times of a program that runs on each of several chips.

    Args:
        flops: operations of one chip, two for a multiply-add.
        bytes_accessed: bytes that one chip reads and writes.
        summed_bytes: bytes of the arrays that are summed over the chips. A ring sends each
            2 (n - 1) / n times.
        chips: n, their number.
        chip: a name in `CHIPS`.

    Raises:
        ValueError: the chip is not known, or there are no chips.

    Example:
        >>> from cnnjax.analysis.cost.roofline import roofline
        >>> least = roofline(197e9, 819e7, chip="v5e")
        >>> round(least.arithmetic, 6), round(least.memory, 6), least.limit
        (0.001, 0.01, 'memory')
    """
    if chip not in CHIPS:
        raise ValueError(f"roofline: chip must be one of {', '.join(CHIPS)}, got {chip!r}")
    if chips < 1:
        raise ValueError(f"roofline: chips must be at least 1, got {chips}")
    peaks = CHIPS[chip]
    return Roofline(
        arithmetic=flops / peaks.flops,
        memory=bytes_accessed / peaks.memory_speed,
        links=2 * (chips - 1) / chips * summed_bytes / peaks.link_speed,
    )
