"""Examples without their labels, for methods that must not see them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnjax import data


@dataclass(frozen=True, eq=False)
class UnlabeledExamples(data.Examples):
    """Images alone, read on demand.

    Attributes:
        examples: the examples, whose other parts are left out.
    """

    examples: data.Examples

    @property
    def spec(self) -> data.Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The form of each image."""
        return {name: form for name, form in self.examples.spec.items() if form.kind == "image"}

    def __len__(self) -> int:
        return len(self.examples)

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Reads one image; see `Examples.read`.

        Args:
            position: position of the example.
            generator: draws the randomness of the reading in training; None in evaluation.
        """
        parts = self.examples.read(position, generator)
        return {name: parts[name] for name in self.spec}

    def name(self, position: int) -> str:
        """Returns the name of one example; see `Examples.name`.

        Args:
            position: position of the example.
        """
        return self.examples.name(position)

    def identity(self) -> dict[str, Any]:
        """Returns the identity of the examples; see `Examples.identity`."""
        return {"images of": self.examples.identity()}


def without_labels(examples: data.Examples) -> data.Examples:
    """Returns the images of examples alone.

    Args:
        examples: with images; in memory, the result is too.

    Raises:
        DataError: there are no images.

    Example:
        >>> import numpy as np
        >>> from cnnjax import data
        >>> from cnnjax.transfer import domains
        >>> digits = data.from_arrays(image=np.zeros((5, 8, 8, 1), np.uint8), label=np.arange(5))
        >>> list(domains.without_labels(digits).spec)
        ['image']
    """
    images = UnlabeledExamples(examples)
    if not images.spec:
        raise data.DataError(f"examples: there are no images among {', '.join(examples.spec)}")
    if examples.arrays is None:
        return images
    arrays = {name: examples.arrays[name] for name in images.spec}
    return data.ArrayExamples(arrays, dict.fromkeys(arrays, "image"), images.identity())
