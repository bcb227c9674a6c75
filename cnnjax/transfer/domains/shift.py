"""Examples of another domain, made of examples: each image is changed in one way."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cnnjax import data
from cnnjax.transfer.domains.transforms import Transform

_MOVABLE = ("mask", "boxes", "points")


@dataclass(frozen=True, eq=False)
class ShiftedExamples(data.ChangedExamples):
    """Examples whose images are changed while they are read.

    Attributes:
        examples: the examples of the first domain.
        transforms: changes of an image, one after another.
        seed: of their randomness.
    """

    transforms: tuple[Transform, ...]
    seed: int

    @cached_property
    def spec(self) -> data.Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The form of each part."""
        blank = {
            name: np.zeros((1, *form.shape), form.dtype)
            for name, form in self.examples.spec.items()
        }
        changed = self.changed(blank)
        return {
            name: data.PartSpec(changed[name].shape[1:], changed[name].dtype, form.kind)
            for name, form in self.examples.spec.items()
        }

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Reads one example; see `Examples.read`.

        Args:
            position: position of the example.
            generator: draws the randomness of the reading in training; None in evaluation.
        """
        parts = self.examples.read(position, generator)
        changed = self.changed({name: np.asarray(value)[None] for name, value in parts.items()})
        return {name: value[0] for name, value in changed.items()}

    def column(self, part: str) -> np.ndarray:
        """Returns one part of all examples; see `Examples.column`.

        Args:
            part: name of the part.
        """
        values = self.examples.column(part)
        if self.examples.spec[part].kind != "image":
            return values
        return self.changed({part: values})[part]

    def identity(self) -> dict[str, Any]:
        """Returns identities of examples and transforms; see `Examples.identity`."""
        return {
            "shifted": self.examples.identity(),
            "transforms": [transform.describe() for transform in self.transforms],
            "seed": self.seed,
        }

    def changed(self, parts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns parts of examples with changed images.

        Args:
            parts: by name, each [examples, ...].
        """
        kinds = {name: form.kind for name, form in self.examples.spec.items()}
        return {
            name: np.stack([self._image(image) for image in values])
            if kinds[name] == "image"
            else values
            for name, values in parts.items()
        }

    def _image(self, image: np.ndarray) -> np.ndarray:
        # The content names an image, wherever it is in whichever choice of the examples.
        content = hashlib.sha256(f"{self.seed} {image.shape}".encode() + image.tobytes()).digest()
        for number, transform in enumerate(self.transforms):
            own = hashlib.sha256(content + number.to_bytes(2, "little")).digest()[:16]
            bits = np.random.Philox(key=int.from_bytes(own, "little"))
            image = transform(image, np.random.Generator(bits))
        return image


def shift(examples: data.Examples, *transforms: Transform, seed: int = 0) -> data.Examples:
    """Returns the same examples in another domain.

    The randomness of each image follows from its content and the seed, so that an image looks the
    same in every choice of the examples and in every epoch. Labels and values stay as they are.

    Args:
        examples: with uint8 images. If they are in memory, so are the changed ones.
        *transforms: changes of an image, one after another; with none, `examples` are returned.
        seed: another seed draws other colors, noise and cuts.

    Raises:
        DataError: the images are no uint8 pixels, there are none, or there are masks, boxes or
            points, which would not move with them.
        ValueError: a transform cannot take such images.

    Example:
        >>> import numpy as np
        >>> from cnnjax import data
        >>> from cnnjax.transfer import domains
        >>> digits = data.from_arrays(image=np.zeros((5, 8, 8, 1), np.uint8), label=np.arange(5))
        >>> colored = domains.shift(digits, domains.Resized(16), domains.Colored(), seed=1)
        >>> colored.spec["image"].shape
        (16, 16, 3)
    """
    _check(examples, transforms, seed)
    if not transforms:
        return examples
    shifted = ShiftedExamples(examples, transforms, seed)
    spec = shifted.spec  # a transform may refuse such images
    if examples.arrays is None:
        return shifted
    kinds: dict[str, data.Kind] = {name: form.kind for name, form in spec.items()}
    return data.ArrayExamples(shifted.changed(dict(examples.arrays)), kinds, shifted.identity())


def _check(examples: data.Examples, transforms: Sequence[Transform], seed: int) -> None:
    if not isinstance(examples, data.Examples):
        raise data.DataError(
            f"examples: {type(examples).__name__} was given; make examples of it with "
            "data.from_arrays(image=…, label=…)"
        )
    for transform in transforms:
        if not isinstance(transform, Transform):
            raise data.DataError(
                f"transforms: {transform!r:.60} is none; give one of cnnjax.transfer.domains, such "
                "as domains.Inverted(), or a subclass of domains.Transform"
            )
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise data.DataError(f"seed: {seed!r} was given; give a whole number")
    images = examples.parts_of_kind("image")
    if not images:
        raise data.DataError(f"examples: there are no images among {', '.join(examples.spec)}")
    for name in images:
        if examples.spec[name].dtype != np.uint8:
            raise data.DataError(
                f"{name}: images of {examples.spec[name].dtype} were given; domains are made of "
                "uint8 pixels: give (255 * image).astype(np.uint8)"
            )
    for kind in _MOVABLE:
        if parts := examples.parts_of_kind(kind):
            raise data.DataError(
                f"{parts[0]}: it would not move with the image; leave it out, since domains are "
                "made of images with labels and values"
            )
