"""The base classes of augmentations: of all, and of each sort."""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from cnnjax.data.augment.example import (
    Example,
    check_image,
    check_rows,
    common_size,
    parts_of,
)
from cnnjax.data.augment.fill import Image
from cnnjax.data.augment.motion import Motion, move_boxes
from cnnjax.data.kinds import Kind
from cnnjax.data.part_checks import kinds_by_name
from cnnjax.nearest import did_you_mean

Augmentation = Callable[[Key[Array, ""], Example], Mapping[str, Array]]
"""A function from a key and an example to an example with the same parts."""

Kinds = Mapping[str, Kind]
Sort = Literal["geometry", "color", "erase", "own"]


class Transform(abc.ABC):
    """An augmentation of one example that changes parts of certain kinds.

    The subclasses in cnnjax are frozen dataclasses. Their fields are the arguments in the policy
    language.

    Attributes:
        name: its name in the policy language.
        sort: "geometry" moves images, masks, boxes and points together; "color" changes images
            alone; "erase" covers a part of images alone; "own" is a user's function.
    """

    name: ClassVar[str]
    sort: ClassVar[Sort]

    @abc.abstractmethod
    def __call__(
        self, key: Key[Array, ""], example: Example, kinds: Kinds | None = None
    ) -> dict[str, Array]:
        """Augments one example.

        Args:
            key: a random key.
            example: the parts by name.
            kinds: the kind of each part whose name does not show it; see `kinds_by_name`.

        Returns:
            The example with the same parts, some of them changed.

        Raises:
            ValueError: a part does not have the form of its kind, or cannot be changed.
        """

    def __str__(self) -> str:
        """Returns the call of the policy language that makes the augmentation."""
        return call_text(self.name, self)


class Geometry(Transform):
    """Moves images, masks, boxes and points together.

    All images and masks of an example have one size. Boxes are cut to the image. A box of which no
    area is left becomes zeros, so that parts with a row for each box stay aligned. Points that
    leave the image keep their coordinates. A row of zeros stays zeros.
    """

    sort = "geometry"

    @abc.abstractmethod
    def draw(self, key: Key[Array, ""], size: tuple[int, int]) -> Motion:
        """Draws a movement for one example.

        Args:
            key: a random key.
            size: height and width of the example.
        """

    def __call__(
        self, key: Key[Array, ""], example: Example, kinds: Kinds | None = None
    ) -> dict[str, Array]:
        """Moves the images, masks, boxes and points of one example; see `Transform`.

        Args:
            key: a random key.
            example: the parts by name.
            kinds: the kind of each part whose name does not show it.
        """
        kinds = kinds_by_name(example, kinds)
        size = common_size(self.name, example, kinds)
        motion = self.draw(key, size)
        moved = dict(example)
        for name in parts_of(kinds, "image"):
            moved[name] = motion.move_image(example[name])
        for name in parts_of(kinds, "mask"):
            moved[name] = motion.move_mask(example[name])
        # Read from what was moved: a movement may change the size.
        height, width = moved[parts_of(kinds, "image", "mask")[0]].shape[:2]
        for name in parts_of(kinds, "boxes", "points"):
            rows = example[name]
            check_rows(name, kinds[name], rows)
            if kinds[name] == "boxes":
                moved[name] = move_boxes(motion, rows, (height, width))
            else:
                # Padding: a point at zero would move with the image.
                empty = (rows == 0).all(axis=1, keepdims=True)
                moved[name] = jnp.where(empty, rows, motion.move_points(rows))
        return moved


@dataclasses.dataclass(frozen=True)
class PixelChange(Transform):
    """Changes the pixels of images; all images of an example are changed under the same key.

    Attributes:
        parts: name or names of the images that are changed; () for all parts of kind image.
    """

    parts: str | tuple[str, ...] = dataclasses.field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        """Turns lists and arrays among the arguments into tuples, which are immutable."""
        freeze_fields(self)

    @abc.abstractmethod
    def change(self, key: Key[Array, ""], image: Image) -> Image:
        """Changes one image.

        Args:
            key: a random key, the same for all images of the example.
            image: pixels from 0 to 1.
        """

    def __call__(
        self, key: Key[Array, ""], example: Example, kinds: Kinds | None = None
    ) -> dict[str, Array]:
        """Changes the chosen images of one example; see `Transform`.

        Args:
            key: a random key.
            example: the parts by name.
            kinds: the kind of each part whose name does not show it.
        """
        kinds = kinds_by_name(example, kinds)
        changed = dict(example)
        for name in self._chosen(kinds):
            check_image(name, example[name])
            changed[name] = self.change(key, example[name])
        return changed

    def _chosen(self, kinds: Kinds) -> list[str]:
        images = parts_of(kinds, "image")
        chosen = [self.parts] if isinstance(self.parts, str) else list(self.parts) or images
        for name in chosen:
            if name not in images:
                raise ValueError(
                    f"{self.name}: {name!r} is no part of kind image; {did_you_mean(name, images)}"
                    f"those are: {', '.join(images) or 'none'}"
                )
        if not chosen:
            raise ValueError(
                f"{self.name}: the example has no part of kind image; its parts are "
                + ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
            )
        return chosen


class Color(PixelChange):
    """Changes colors of images and leaves every pixel where it is."""

    sort = "color"


class Erase(PixelChange):
    """Covers the same part of all images; masks, boxes and points stay as they are."""

    sort = "erase"

    def __call__(
        self, key: Key[Array, ""], example: Example, kinds: Kinds | None = None
    ) -> dict[str, Array]:
        """Covers the chosen images of one example; see `Transform`.

        Args:
            key: a random key.
            example: the parts by name.
            kinds: the kind of each part whose name does not show it.
        """
        kinds = kinds_by_name(example, kinds)
        chosen = self._chosen(kinds)
        # The same pixels can be covered only in images of one size.
        common_size(self.name, example, {name: "image" for name in chosen})
        return super().__call__(key, example, kinds)


def freeze_fields(instance: Any) -> None:
    """Turns lists and arrays among the fields of a frozen dataclass into tuples.

    Args:
        instance: the dataclass instance, changed in place.
    """
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if isinstance(value, list | tuple | np.ndarray):
            # A frozen dataclass refuses ordinary assignments.
            object.__setattr__(instance, field.name, _frozen(value))


def _frozen(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def call_text(name: str, instance: Any) -> str:
    """Returns the call that makes a dataclass, with the arguments that are not the defaults.

    Args:
        name: name of the call.
        instance: the dataclass instance.
    """
    arguments = [
        f"{field.name}={getattr(instance, field.name)!r}"
        for field in dataclasses.fields(instance)
        if getattr(instance, field.name) != field.default
    ]
    return f"{name}({', '.join(arguments)})"
