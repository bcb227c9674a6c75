"""Several domains as one set whose examples know their domain, and one of them left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cnnjax import data
from cnnjax.nearest import did_you_mean
from cnnjax.transfer.domains.resampling import Rotated
from cnnjax.transfer.domains.shift import shift

DOMAIN = "domain"
"""Name of the part that holds the number of an example's domain."""

ROTATED_MNIST = (0, 15, 30, 45, 60, 75)
"""Degrees of the six domains of RotatedMNIST.

Source: Ghifary et al. 2015; Gulrajani and Lopez-Paz 2021 (DomainBed).
"""


class LeftOut(NamedTuple):
    """All domains but one, and that one.

    Attributes:
        sources: the examples of all others, with the part "domain".
        names: of these domains, in the order of their numbers.
        target: the examples of the domain that was left out.
    """

    sources: data.Examples
    names: tuple[str, ...]
    target: data.Examples


def join_domains(domains: Mapping[str, data.Examples]) -> data.Examples:
    """Returns the examples of several domains, one domain after another.

    Args:
        domains: examples of one form by name; the first domain has the number 0.

    Returns:
        The examples with one more part of kind label, "domain"; `data.Stream(order="balanced",
        by="domain")` takes equally many of each.

    Raises:
        DataError: there are no domains, or their forms differ.
    """
    parts = [NumberedExamples(own, number) for number, own in enumerate(domains.values())]
    joined = data.JoinedExamples(tuple(parts))
    if any(own.arrays is None for own in domains.values()):
        return joined
    kinds: dict[str, data.Kind] = {name: form.kind for name, form in joined.spec.items()}
    return data.ArrayExamples(
        {name: joined.column(name) for name in kinds}, kinds, joined.identity()
    )


@dataclass(frozen=True, eq=False)
class NumberedExamples(data.ChangedExamples):
    """Examples with the number of their domain.

    Attributes:
        examples: those of one domain.
        number: the domain's.
    """

    number: int

    @property
    def spec(self) -> data.Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The form of each part."""
        return {**self.examples.spec, DOMAIN: data.PartSpec((), np.dtype(np.int32), "label")}

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Reads one example; see `Examples.read`.

        Args:
            position: position of the example.
            generator: draws the randomness of the reading in training; None in evaluation.
        """
        return {**self.examples.read(position, generator), DOMAIN: np.int32(self.number)}  # pyright: ignore[reportReturnType]

    def column(self, part: str) -> np.ndarray:
        """Returns one part of all examples; see `Examples.column`.

        Args:
            part: name of the part.
        """
        if part == DOMAIN:
            return np.full(len(self), self.number, np.int32)
        return self.examples.column(part)

    def identity(self) -> dict[str, Any]:
        """Returns the identity of the examples and their domain; see `Examples.identity`."""
        return {"domain": self.number, "examples": self.examples.identity()}


def leave_one_out(domains: Mapping[str, data.Examples], left_out: str) -> LeftOut:
    """Returns all domains but one as one set, and the one by itself.

    Args:
        domains: examples of one form by name, two domains or more.
        left_out: the name of the domain that training must not see.

    Raises:
        DataError: there is no such domain, or no other one.
    """
    if left_out not in domains:
        hint = did_you_mean(left_out, domains, count=1).strip() or f"known: {', '.join(domains)}"
        raise data.DataError(f"left_out: {left_out!r} is no domain; {hint}")
    others = {name: examples for name, examples in domains.items() if name != left_out}
    if not others:
        raise data.DataError(f"domains: {left_out!r} is the only one; give another one to train on")
    return LeftOut(join_domains(others), tuple(others), domains[left_out])


def disjoint_parts(examples: data.Examples, count: int, seed: int = 0) -> list[data.Examples]:
    """Returns examples dealt out to several sets, so that each example is in exactly one.

    Args:
        examples: all examples.
        count: the number of sets, whose sizes differ by one at most.
        seed: of the random order in which they are dealt out.

    Raises:
        DataError: there are fewer examples than sets, or no whole number from 1 on was given.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise data.DataError(f"count: {count!r} was given; give a whole number from 1 on")
    if count > len(examples):
        raise data.DataError(
            f"count: {count} sets cannot be made of {len(examples)} examples; give fewer"
        )
    order = np.random.default_rng(seed).permutation(len(examples))
    return [data.choose(examples, np.sort(order[first::count])) for first in range(count)]


def rotated_domains(
    examples: data.Examples, angles: Sequence[float] = ROTATED_MNIST, seed: int = 0
) -> dict[str, data.Examples]:
    """Returns domains of rotated images, each made of examples that no other domain has.

    Args:
        examples: the upright ones.
        angles: of each domain in degrees, counter-clockwise.
        seed: of the division of the examples.

    Returns:
        The domains by their angles as text, "15".

    Raises:
        DataError: an angle is given twice, or there are fewer examples than angles.
    """
    names = [f"{angle:g}" for angle in angles]
    if len(set(names)) < len(names):
        raise data.DataError(f"angles: {list(angles)} was given; give each angle once")
    parts = disjoint_parts(examples, len(names), seed)
    return {
        name: shift(part, Rotated(angle))
        for name, part, angle in zip(names, parts, angles, strict=True)
    }
