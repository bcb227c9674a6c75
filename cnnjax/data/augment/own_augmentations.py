"""Augmentations of users: functions (key, example) -> example."""

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
    """A user's function; the shapes and dtypes of its result are checked before it runs.

    Attributes:
        function: the function.
        call: its name in messages and records: the call of the policy language that made it, or its
            module and name.
    """

    name = "own"
    sort = "own"

    function: Augmentation
    call: str

    def __call__(
        self, key: Key[Array, ""], example: Example, kinds: Kinds | None = None
    ) -> dict[str, Array]:
        """Runs the function on one example; see `Transform`.

        Args:
            key: a random key.
            example: the parts by name.
            kinds: the kind of each part whose name does not show it.

        Raises:
            ValueError: the function does not return the parts of the example with their dtypes and
                shapes; the height and width of images and masks may differ.
        """
        kinds = kinds_by_name(example, kinds)
        # A copy, so that a function that writes into its example changes nothing outside.
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
        """Returns its name in a policy."""
        return self.call

    def __repr__(self) -> str:
        """Returns its name in a policy: the text of a function would contain an address."""
        return f"OwnTransform({self.call})"


_RESIZED = ("image", "mask")


def _form(part: Any, kind: str) -> tuple:
    """Returns the dtype and the sizes that a function must keep for a part."""
    shape = getattr(part, "shape", None)
    if shape is not None and kind in _RESIZED:
        shape = (len(shape), *shape[2:])
    return getattr(part, "dtype", None), shape


def _described(part: Any) -> str:
    if hasattr(part, "dtype"):
        return f"{part.dtype}{list(part.shape)}"
    return f"a {type(part).__name__}"
