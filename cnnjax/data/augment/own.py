"""Augmentations that users bring: functions (key, example) -> example."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jaxtyping import Array, Key

from cnnjax.data.augment.example import Example
from cnnjax.data.augment.transform import Augmentation, Kinds, Transform
from cnnjax.data.part_checks import kinds_by_name


@dataclass(frozen=True)
class OwnTransform(Transform):
    """A function of the user's, whose result is checked by its shapes before it runs.

    Attributes:
        function: it.
        call: how a policy names it: the call of the language that made it, or where it lives.
    """

    name = "own"
    sort = "own"

    function: Augmentation
    call: str

    def __call__(
        self, key: Key[Array, ""], example: Example, kinds: Kinds | None = None
    ) -> dict[str, Array]:
        """See `Transform`.

        Raises:
            ValueError: the function returns something other than the example's parts: with their
                dtypes and shapes, but for the height and width of images and masks.
        """
        kinds = kinds_by_name(example, kinds)
        example = dict(example)
        result = jax.eval_shape(lambda *given: self.function(*given), key, example)
        if not isinstance(result, Mapping):
            raise ValueError(
                f"augmentation: {self.call} returned {_described(result)}; it has to return the "
                f"example, a dict with the parts {', '.join(example)}: {{**example, 'image': …}}"
            )
        if result.keys() != example.keys():
            raise ValueError(
                f"augmentation: {self.call} returned the parts {', '.join(result)}; it has to keep "
                f"those of the example, {', '.join(example)}: {{**example, 'image': …}}"
            )
        for name, part in example.items():
            given, made = _form(part, kinds[name]), _form(result[name], kinds[name])
            if made != given:
                raise ValueError(
                    f"augmentation: {self.call} made {name} {_described(result[name])} of "
                    f"{_described(part)}; it has to keep dtype and shape"
                    + (" (height and width may change)" if kinds[name] in _RESIZED else "")
                )
        return dict(self.function(key, example))

    def __str__(self) -> str:
        """Returns how a policy names it."""
        return self.call

    def __repr__(self) -> str:
        """Returns how a policy names it: the function's own text has an address in it."""
        return f"OwnTransform({self.call})"


_RESIZED = ("image", "mask")


def _form(part: Any, kind: str) -> tuple:
    """Returns what a function may not change about a part."""
    shape = getattr(part, "shape", None)
    if shape is not None and kind in _RESIZED:
        shape = (len(shape), *shape[2:])
    return getattr(part, "dtype", None), shape


def _described(part: Any) -> str:
    if hasattr(part, "dtype"):
        return f"{part.dtype}{list(part.shape)}"
    return f"a {type(part).__name__}"
