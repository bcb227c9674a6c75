"""The differences between a file of weights and a network, reported all at once."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from cnnjax.models.weights.tables import Slot
from cnnjax.nearest import nearest_names


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """The differences between what a network needs and what a file has.

    Attributes:
        missing: names that the network needs and the file lacks.
        unexpected: names in the file that the network has no place for.
        wrong_shape: by name, the file's shape and the one needed.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]

    def __bool__(self) -> bool:
        """Returns whether there is any difference."""
        return bool(self.missing or self.unexpected or self.wrong_shape)

    def lines(self, ours: Mapping[str, str]) -> list[str]:
        """Returns a line for each difference, with the nearest name on the other side.

        Args:
            ours: our path of each name that the network needs.
        """

        def nearest(name: str, others: Sequence[str]) -> str:
            # Only names of the same kind, if there are any: comparing hundreds of names is slow.
            kind = name.rpartition(".")[2]
            others = [other for other in others if other.rpartition(".")[2] == kind] or others
            found = nearest_names(name, others, count=1, likeness=0.7)
            return f"; nearest: {found[0]}" if found else ""

        return [
            *(
                f"missing: {name} (our {ours[name]}){nearest(name, self.unexpected)}"
                for name in self.missing
            ),
            *(f"unexpected: {name}{nearest(name, self.missing)}" for name in self.unexpected),
            *(
                f"wrong shape: {name} is {given}, needed is {needed} (our {ours[name]})"
                for name, (given, needed) in self.wrong_shape.items()
            ),
        ]


class WeightsError(ValueError):
    """A file of weights that cannot be read, or that does not fit the network.

    Attributes:
        mismatch: the differences; None where the file itself is at fault.
    """

    def __init__(self, message: str, mismatch: Mismatch | None = None) -> None:
        """Keeps the differences besides the message."""
        super().__init__(message)
        self.mismatch = mismatch


def compare(
    slots: Sequence[Slot], shapes: Mapping[str, tuple[int, ...]], optional: Collection[str]
) -> Mismatch:
    """Returns the differences between the arrays that a network needs and those of a file.

    Args:
        slots: the places to fill.
        shapes: of the file's arrays, by name.
        optional: names that may be in the file although no slot needs them.
    """
    needed = {slot.name: slot.layout.their_shape(slot.shape) for slot in slots}
    known = {*needed, *optional}
    return Mismatch(
        tuple(name for name in needed if name not in shapes),
        tuple(name for name in shapes if name not in known),
        {
            name: (shapes[name], shape)
            for name, shape in needed.items()
            if name in shapes and shapes[name] != shape
        },
    )
