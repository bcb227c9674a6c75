"""Domains of images: made by transforms, adapted to, generalized over; and novel classes."""

from cnnjax.transfer.domains.joined import (
    DOMAIN,
    ROTATED_MNIST,
    LeftOut,
    disjoint_parts,
    join_domains,
    leave_one_out,
    rotated_domains,
)
from cnnjax.transfer.domains.photographs import Blended, photographs
from cnnjax.transfer.domains.resampling import Blurred, Resized, Rotated
from cnnjax.transfer.domains.shift import ShiftedExamples, shift
from cnnjax.transfer.domains.transforms import RGB, Colored, Inverted, Noisy, Transform

__all__ = [
    "DOMAIN",
    "RGB",
    "ROTATED_MNIST",
    "Blended",
    "Blurred",
    "Colored",
    "Inverted",
    "LeftOut",
    "Noisy",
    "Resized",
    "Rotated",
    "ShiftedExamples",
    "Transform",
    "disjoint_parts",
    "join_domains",
    "leave_one_out",
    "photographs",
    "rotated_domains",
    "shift",
]
