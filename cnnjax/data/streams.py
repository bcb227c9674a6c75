"""Streams: the examples of training batches, their order and their augmentation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax

from cnnjax.data.augment.policy import Policy, as_policy
from cnnjax.data.examples import Examples
from cnnjax.data.orders import (
    BalancedOrder,
    EpisodeOrder,
    FunctionOrder,
    Order,
    OwnOrder,
    ShuffledOrder,
)
from cnnjax.data.part_checks import RESERVED
from cnnjax.data.read.order import steps_per_epoch
from cnnjax.nearest import did_you_mean

NamedOrder = Literal["shuffled", "balanced"]


@dataclass(frozen=True)
class Episodes:
    """An order of few-shot tasks: `ways` classes a step, `shots + queries` examples of each.

    Attributes:
        ways: classes in an episode.
        shots: support examples of each class.
        queries: further examples of each class.

    Raises:
        ValueError: a number is less than 1.
    """

    ways: int
    shots: int
    queries: int

    def __post_init__(self) -> None:
        if min(self.ways, self.shots, self.queries) < 1:
            raise ValueError(
                f"episodes: {self.ways} ways, {self.shots} shots and {self.queries} queries were "
                "given; each is 1 or more"
            )

    @property
    def batch_size(self) -> int:
        """Examples in an episode."""
        return self.ways * (self.shots + self.queries)


@dataclass(frozen=True, eq=False)
class Stream:
    """Examples, and how batches are made of them.

    Attributes:
        examples: the examples.
        batch_size: examples in a batch, over all devices.
        augmentation: augmentation of each example in training: a policy such as "crop(4), flip", a
            function `(key, example) -> example`, or a sequence of those.
        views: instead of `augmentation`, several augmentations of the same example, by their names
            in the batch: `{"weak": "flip", "strong": "flip, cutout(8)"}`.
        order: "shuffled"; "balanced", with all classes equally often; `Episodes`; or a function
            (seed, step) -> positions [batch_size].
        by: name of the part of kind "label" whose classes a balanced order or episodes use; needed
            where there are several.

    Raises:
        ValueError: one of these has a wrong type or value, or they do not go together.
    """

    examples: Examples
    batch_size: int
    augmentation: Any = ""
    views: Mapping[str, Any] | None = None
    order: NamedOrder | Episodes | OwnOrder = "shuffled"
    by: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.examples, Examples):
            raise ValueError(
                f"examples: {type(self.examples).__name__} was given; make examples of it with "
                "data.from_arrays(image=…, label=…) or data.from_source(…)"
            )
        # `bool` is a subclass of `int`.
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, int):
            raise ValueError(f"batch_size: {self.batch_size!r} was given; give a whole number")
        if self.batch_size < 1:
            raise ValueError(f"batch_size: {self.batch_size} was given; give 1 or more")
        self._check_augmentations()
        self._check_order()

    @property
    def policies(self) -> dict[str, Policy]:
        """The augmentations of an example by the names of the views; "" names the only one."""
        given = dict(self.views) if self.views else {"": self.augmentation}
        return {name: as_policy(policy) for name, policy in given.items()}

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch: the number of full batches, one at least.

        Raises:
            ValueError: the examples do not fill one batch.
        """
        # Other orders may repeat examples, and so fill a batch with fewer.
        if self.order == "shuffled":
            return steps_per_epoch(len(self.examples), self.batch_size)
        return max(1, len(self.examples) // self.batch_size)

    def make_order(self, key: jax.Array, first: bool = True) -> Order:
        """Returns the order of the examples.

        Args:
            key: a random key, from which the order is drawn.
            first: whether this stream sets the epoch, so that each epoch has an order of its own.
                The batches of other streams may span two rounds of their examples.

        Raises:
            ValueError: there are too few examples or classes for the order.
        """
        if callable(self.order):
            return FunctionOrder(self.order, key, len(self.examples), self.batch_size)
        if self.order == "shuffled":
            return ShuffledOrder(key, len(self.examples), self.batch_size, wrap=not first)
        labels = self.examples.column(self.label_part)
        if self.order == "balanced":
            return BalancedOrder(key, labels, self.batch_size)
        return EpisodeOrder(key, labels, self.order.ways, self.order.shots, self.order.queries)

    @property
    def label_part(self) -> str:
        """Name of the part of kind "label" whose classes the order uses.

        Raises:
            ValueError: there is no such part, there are several, or `by` is not one of them.
        """
        labels = self.examples.parts_of_kind("label")
        if self.by is not None:
            if self.by not in labels:
                raise ValueError(f"by: {self.by!r} is no part of kind label; these are: {labels}")
            return self.by
        if len(labels) != 1:
            remedy = f"name one, as by={labels[0]!r}" if labels else "give one"
            raise ValueError(
                f"order: {self._order_name} needs a part of kind label, and the examples have "
                f"{len(labels)}: {remedy}"
            )
        return labels[0]

    @property
    def _order_name(self) -> str:
        return self.order if isinstance(self.order, str) else type(self.order).__name__

    def _check_augmentations(self) -> None:
        if self.views is not None:
            if self.augmentation:
                raise ValueError(
                    "views: an augmentation was given too; write it into each view that has it"
                )
            if not self.views:
                raise ValueError("views: there are none; leave them out, or name at least one")
            for name in self.views:
                # The views become parts of the batch, and must not replace one.
                if not name.isidentifier() or name in RESERVED:
                    raise ValueError(
                        f"views: {name!r} cannot name a view; give a word other than "
                        f"{' and '.join(RESERVED)}"
                    )
        _ = self.policies  # raises an error for a wrong policy

    def _check_order(self) -> None:
        if callable(self.order):
            return
        if isinstance(self.order, Episodes):
            if self.batch_size != self.order.batch_size:
                raise ValueError(
                    f"batch_size: {self.batch_size} was given, but an episode of {self.order} has "
                    f"{self.order.batch_size} examples; give that"
                )
        elif self.order not in get_args(NamedOrder):
            known = get_args(NamedOrder)
            raise ValueError(
                f"order: {self.order!r} is unknown; {did_you_mean(str(self.order), known)}known: "
                f"{', '.join(known)}, data.Episodes(…), or a function (seed, step) -> positions"
            )
        # All other named orders need classes.
        if self.order != "shuffled":
            _ = self.label_part  # raises an error where there is none
