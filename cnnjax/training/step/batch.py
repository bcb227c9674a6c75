"""A training batch made on the device from stored parts: scaled, augmented, normalized, mixed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Array, Key

from cnnjax.data.augment.policy import Policy, augment_batch, example_keys
from cnnjax.data.examples import Examples
from cnnjax.data.kinds import Kind
from cnnjax.data.preprocess import Preprocess
from cnnjax.training.step.keys import step_key, view_key

Stored = Mapping[str, Array]
"""A stream's parts as they are stored, with `weight`, `position` and `draw`, all [batch, ...]."""

Rows = TypeVar("Rows", Array, np.ndarray)

_BESIDE = ("weight", "position", "draw")


@dataclass(frozen=True)
class Pipeline:
    """How the stored parts of one stream become its part of a batch.

    Attributes:
        preprocess: the fixed part.
        views: the augmentation of each view, by the view's name; "" for a stream without views.
        kinds: what each stored part is.
        number: the stream's place among the run's streams, from 0.
        repeats: whether an example may come twice before all have come once.
        num_classes: number of labels, which mixing needs; None without labels.
    """

    preprocess: Preprocess
    views: Mapping[str, Policy]
    kinds: Mapping[str, Kind]
    number: int = 0
    repeats: bool = False
    num_classes: int | None = None

    def make(
        self,
        stored: Stored,
        key: Key[Array, ""],
        block: Array | int,
        step: Array | int,
        axis_name: str | None = None,
    ) -> dict[str, Any]:
        """Returns the stream's part of a batch.

        Args:
            stored: the parts as they are stored.
            key: the run's key of augmentation.
            block: number of the order's block (the epoch, where each example comes once in it).
            step: number of steps done.
            axis_name: mapped axis over which the batch is spread, where there is one.

        Returns:
            The parts by name, with `weight` and `position`; of a stream with views, each view's
            parts under the view's name.
        """
        parts = {name: value for name, value in stored.items() if name not in _BESIDE}
        beside = {name: stored[name] for name in ("weight", "position")}
        unit = self.preprocess.to_unit(parts, self.kinds)
        # An example that comes twice in a block has to be augmented differently each time.
        when = step if self.repeats else block
        made: dict[str, Any] = {}
        for place, (name, policy) in enumerate(self.views.items()):
            own = step_key(view_key(key, self.number, place), when)
            keys = example_keys(own, stored["draw"])
            augmented = augment_batch(policy, keys, unit, self.kinds)
            view = {**self.preprocess.normalize(augmented, self.kinds), **beside}
            view = policy.mix(keys, view, self.kinds, self.num_classes, axis_name)
            if not name:
                return view
            made[name] = {part: value for part, value in view.items() if part not in beside}
        return {**made, **beside}


def kinds_of(examples: Examples) -> dict[str, Kind]:
    """Returns the kind of each part of examples.

    Args:
        examples: the examples.
    """
    return {name: part.kind for name, part in examples.spec.items()}


def draws_of(positions: Rows, rows: Rows, repeats: bool) -> Rows:
    """Returns the numbers under which examples draw their augmentation.

    Args:
        positions: each example's place in its set, which distinguishes examples within an epoch.
        rows: each example's row in the whole batch, which distinguishes them where they repeat.
        repeats: whether examples repeat, so that their rows count.
    """
    return rows if repeats else positions
