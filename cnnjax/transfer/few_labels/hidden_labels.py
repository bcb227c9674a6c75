"""Examples without what a method must not see."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnjax import data
from cnnjax.data.examples import Positions, Spec


def hide_labels(examples: data.Examples) -> data.Examples:
    """Returns examples with their images alone: no label, nor any other part.

    Args:
        examples: the examples.

    Raises:
        ValueError: there are no images.

    Example:
        >>> import numpy as np
        >>> from cnnjax import data
        >>> images = np.zeros((2, 8, 8, 1), np.uint8)
        >>> list(hide_labels(data.from_arrays(image=images, label=np.arange(2))).spec)
        ['image']
    """
    images = examples.parts_of_kind("image")
    if not images:
        raise ValueError(
            f"examples: they have no images; their parts are {', '.join(examples.spec)}"
        )
    if examples.arrays is None:
        return _ImagesAlone(examples)
    # The identity stays that of the whole, which is known without reading the images again.
    arrays = {name: examples.arrays[name] for name in images}
    return data.ArrayExamples(
        arrays, dict.fromkeys(images, "image"), {**examples.identity(), "parts": images}
    )


@dataclass(frozen=True, eq=False)
class _ImagesAlone(data.ChangedExamples):
    """The images of other examples, read on demand."""

    @property
    def spec(self) -> Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The form of each image."""
        return {name: part for name, part in self.examples.spec.items() if part.kind == "image"}

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Reads the images of one example; see `Examples.read`.

        Args:
            position: position of the example.
            generator: draws the randomness of the reading in training; None in evaluation.
        """
        parts = self.examples.read(position, generator)
        return {name: parts[name] for name in self.spec}

    def take(self, positions: Positions) -> dict[str, np.ndarray]:
        """Reads the images of several examples; see `Examples.take`.

        Args:
            positions: positions of the examples.
        """
        parts = self.examples.take(positions)
        return {name: parts[name] for name in self.spec}

    def identity(self) -> dict[str, Any]:
        """Returns the identity of the whole and the parts that are left."""
        return {**self.examples.identity(), "parts": list(self.spec)}
