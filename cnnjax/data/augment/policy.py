"""Policies: the augmentations of training examples in order, such as "crop(4), flip, mixup(0.2)".

Every example has a key of its own, so that its augmentation depends neither on the batch nor on the
device that it is in.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, Union, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from cnnjax.data.augment.example import Example
from cnnjax.data.augment.language import parse_calls
from cnnjax.data.augment.mix import Mix
from cnnjax.data.augment.own_augmentations import OwnTransform
from cnnjax.data.augment.transform import Augmentation, Kinds, Transform
from cnnjax.data.part_checks import kinds_by_name

PolicyItem: TypeAlias = Union[str, Mix, Augmentation, "Policy"]
"""Calls of the policy language, a function (key, example) -> example, a mix or a policy."""


@dataclass(frozen=True)
class Policy:
    """Augmentations of each example, in order, and then of a batch of them together.

    Calling a policy augments one example. `str` of a policy gives calls of the policy language; a
    user's function has its module and name there.

    Attributes:
        steps: augmentations of one example, in order.
        mixing: the augmentation that mixes a batch afterwards; None for none.
    """

    steps: tuple[Transform, ...] = ()
    mixing: Mix | None = None

    @classmethod
    def of(cls, *items: PolicyItem) -> "Policy":
        """Joins calls, functions and policies into one policy, from left to right.

        Args:
            *items: each a text such as "crop(4), flip", a function (key, example) -> example, a
                policy, or at the end a mix, such as `Mixup(0.2)`.

        Raises:
            ValueError: an item is none of these, a text is wrong, or a mix is not the last.
        """
        made: list[Transform | Mix] = []
        for item in items:
            made += _steps(item)
        mixes = [step for step in made if isinstance(step, Mix)]
        # They differ where the mix is not last, and where there are several.
        if mixes and made[-1:] != mixes:
            shown = ", ".join(map(str, made))
            raise ValueError(
                f"augmentation: {mixes[0].name} takes whole batches, and comes once and last; "
                f"{shown!r} has it elsewhere too"
            )
        steps = tuple(step for step in made if isinstance(step, Transform))
        return cls(steps, mixes[0] if mixes else None)

    def __call__(
        self, key: Key[Array, ""], example: Example, kinds: Kinds | None = None
    ) -> dict[str, Array]:
        """Augments one example under a key of its own; mixing, which takes batches, is left out.

        Args:
            key: a random key.
            example: its parts: images float [height, width, channels] from 0 to 1, masks int
                [height, width], boxes float [boxes, 4] (top, left, bottom, right), points float
                [points, 2] (row, column), and any others.
            kinds: the kind of each part whose name does not show it.

        Raises:
            ValueError: a part does not have the form of its kind, or a step cannot change it.
        """
        kinds = kinds_by_name(example, kinds)
        result = {name: jnp.asarray(part) for name, part in example.items()}
        # A step draws under its position, so that the draws of a step do not depend on the others.
        for position, step in enumerate(self.steps):
            result = step(jax.random.fold_in(key, position), result, kinds)
        return result

    def mix(
        self,
        keys: Key[Array, " batch"],
        batch: Mapping[str, Array],
        kinds: Kinds | None = None,
        num_classes: int | None = None,
        axis_name: str | None = None,
    ) -> dict[str, Array]:
        """Mixes a batch; returns it as it is where the policy has no mixing.

        Args:
            keys: keys of the examples, as for `augment_batch`.
            batch: parts [batch, ...]; see `Mixup`.
            kinds: the kind of each part whose name does not show it.
            num_classes: number of labels; needed where the policy mixes labels.
            axis_name: mapped axis over which the batch is spread; see `Mixup`.
        """
        if self.mixing is None:
            return dict(batch)
        # The steps draw under the numbers before this one.
        keys = jax.vmap(lambda key: jax.random.fold_in(key, len(self.steps)))(keys)
        return self.mixing(keys, batch, kinds, num_classes, axis_name)

    def __str__(self) -> str:
        """Returns the calls that make the policy."""
        mixing = [self.mixing] if self.mixing else []
        return ", ".join(map(str, [*self.steps, *mixing]))


Augmentations: TypeAlias = PolicyItem | Sequence[PolicyItem]
"""The items of a policy: one, or several in order."""


def _steps(item: Any) -> list[Transform | Mix]:
    if isinstance(item, str):
        return parse_calls(item)
    if isinstance(item, Policy):
        return [*item.steps, *([item.mixing] if item.mixing else [])]
    if isinstance(item, Transform | Mix):
        return [item]
    # A class is callable, too, but it is most likely an augmentation without its arguments.
    if callable(item) and not inspect.isclass(item):
        return [OwnTransform(cast(Augmentation, item), _location(item))]
    raise ValueError(
        f"augmentation: {item!r} was given; give a text such as 'crop(4), flip', a function (key, "
        "example) -> example, a data.Policy, or a list of these"
    )


def _location(function: Any) -> str:
    """Returns the module and name of a function, for messages and records."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"


def parse_policy(policy: str) -> Policy:
    """Returns the policy of a text such as `"crop(4), flip"`; "" changes nothing.

    Args:
        policy: calls of the policy language, from left to right; mixup comes last, since it takes
            whole batches.

    Raises:
        ValueError: the text is not such a list, or a name or argument in it is unknown.
    """
    return Policy.of(policy)


def as_policy(augmentation: Augmentations) -> Policy:
    """Returns the policy of a text, a policy, a function, or a list of these.

    Args:
        augmentation: one of these.

    Raises:
        ValueError: it is none of these; see `Policy.of`.
    """
    if isinstance(augmentation, Policy):
        return augmentation
    if isinstance(augmentation, list | tuple):
        return Policy.of(*augmentation)
    return Policy.of(augmentation)  # pyright: ignore[reportArgumentType]


def example_keys(
    key: Key[Array, ""], draws: Int[Array, " batch"] | Sequence[int]
) -> Key[Array, " batch"]:
    """Returns a key for each example, folded from a common one.

    Args:
        key: a key of this epoch.
        draws: a number for each example, which distinguishes it: its position in the training
            split.
    """
    draws = jnp.asarray(draws, jnp.int32)
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, draws)


def augment_batch(
    augmentation: Augmentations,
    keys: Key[Array, " batch"],
    batch: Mapping[str, Array],
    kinds: Kinds | None = None,
) -> dict[str, Array]:
    """Augments each example of a batch under its own key; `Policy.mix` mixes them afterwards.

    Args:
        augmentation: augmentation of one example: a policy, or whatever `as_policy` takes.
        keys: a key for each example; see `example_keys`.
        batch: parts [batch, ...]; see `Policy`.
        kinds: the kind of each part whose name does not show it.
    """
    policy = as_policy(augmentation)
    return jax.vmap(lambda key, example: policy(key, example, kinds))(keys, dict(batch))
