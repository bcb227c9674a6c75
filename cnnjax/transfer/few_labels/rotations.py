"""More classes for episodes: each class turned by quarter turns is a class of its own."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnjax import data
from cnnjax.data.examples import Spec


def rotated_classes(examples: data.Examples, classes: int) -> data.Examples:
    """Returns the examples turned by 0, 90, 180 and 270 degrees, with four times as many classes.

    Class c turned by t quarter turns, counter-clockwise, is class c + t * classes.

    Args:
        examples: with square images and a part `label`.
        classes: number of classes; labels are less.

    Raises:
        ValueError: images are not square, or a label is not less than `classes`.

    Source: Vinyals et al., 2016, "Matching networks for one shot learning", section 4.1.1.

    Example:
        >>> import numpy as np
        >>> from cnnjax import data
        >>> images = np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1)
        >>> turned = rotated_classes(data.from_arrays(image=images, label=[0]), classes=1)
        >>> turned.column("label").tolist(), turned.take([1])["image"].ravel().tolist()
        ([0, 1, 2, 3], [1, 3, 0, 2])
    """
    height, width, _ = examples.require("image").shape
    if height != width:
        raise ValueError(f"examples: images of {height}x{width} were given; give square ones")
    if (most := int(examples.column("label").max())) >= classes:
        raise ValueError(
            f"classes: {classes} was given, but there is label {most}; give {most + 1} or more"
        )
    turned = [_Turned(examples, turns, classes) for turns in range(4)]
    joined = data.JoinedExamples(tuple(turned))
    if examples.arrays is None:
        return joined
    # Kept as arrays, so that they stay on the device.
    arrays = joined.take(np.arange(len(joined)))
    kinds: dict[str, data.Kind] = {name: part.kind for name, part in joined.spec.items()}
    return data.ArrayExamples(arrays, kinds, {**examples.identity(), "rotated": classes})


@dataclass(frozen=True, eq=False)
class _Turned(data.ChangedExamples):
    """Examples whose images are turned, with other labels."""

    turns: int
    classes: int

    @property
    def spec(self) -> Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The form of each part: image and label."""
        return {name: self.examples.spec[name] for name in ("image", "label")}

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Reads one example and turns it; see `Examples.read`.

        Args:
            position: position of the example.
            generator: draws the randomness of the reading in training; None in evaluation.
        """
        parts = self.examples.read(position, generator)
        label = np.asarray(parts["label"] + self.turns * self.classes, self.spec["label"].dtype)
        return {"image": np.rot90(parts["image"], self.turns), "label": label}

    def column(self, part: str) -> np.ndarray:
        """Returns one part of all examples; see `Examples.column`.

        Args:
            part: name of the part.
        """
        if part == "label":
            return self.examples.column(part) + self.turns * self.classes
        return super().column(part)

    def identity(self) -> dict[str, Any]:
        """Returns the identity of the whole, and how it is turned."""
        return {**self.examples.identity(), "turns": self.turns, "classes": self.classes}
