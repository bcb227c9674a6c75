"""Changes of images that make one domain of another: the same things with another look.

Unlike an augmentation, a transform gives an image the same look in every epoch: it is part of the
set. Here are those of single pixels; `resampling.py` and `photographs.py` have the others.
"""

import abc
import dataclasses
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8

Image: TypeAlias = UInt8[np.ndarray, "height width channels"]
Changed: TypeAlias = UInt8[np.ndarray, "new_height new_width new_channels"]

_LUMINANCE = (0.299, 0.587, 0.114)


class Transform(abc.ABC):
    """A change of one image, with the randomness of a generator that depends on the image.

    A subclass is a frozen dataclass, whose fields are its settings, with `__call__`.
    """

    @abc.abstractmethod
    def __call__(self, image: Image, generator: np.random.Generator) -> Changed:
        """Returns the changed image.

        Args:
            image: uint8 pixels.
            generator: of random numbers; always in the same state for the same image.
        """

    def describe(self) -> dict[str, Any]:
        """Returns JSON values that distinguish the transform from all others."""
        fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)  # pyright: ignore[reportArgumentType]
        }
        return {"transform": type(self).__name__, **fields}


def as_pixels(
    values: Float[np.ndarray, "height width channels"],
) -> UInt8[np.ndarray, "height width channels"]:
    """Returns values rounded to uint8 pixels; those below 0 or above 255 become 0 and 255.

    Args:
        values: of the pixels, from 0 to 255.
    """
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Inverted(Transform):
    """White becomes black: 255 less each value."""

    def __call__(self, image: Image, generator: np.random.Generator) -> Changed:
        """Returns the inverted image.

        Args:
            image: uint8 pixels.
            generator: not used.
        """
        del generator
        return 255 - image


@dataclass(frozen=True)
class Noisy(Transform):
    """Independent Gaussian noise is added to each value.

    Attributes:
        deviation: the standard deviation of the noise, as a share of 255.

    Raises:
        ValueError: the deviation is not above 0.
    """

    deviation: float = 0.2

    def __post_init__(self) -> None:
        """Refuses a deviation that is none."""
        check_positive("noisy", "deviation", self.deviation)

    def __call__(self, image: Image, generator: np.random.Generator) -> Changed:
        """Returns the noisy image; values outside of 0 to 255 are clipped.

        Args:
            image: uint8 pixels.
            generator: draws the noise.
        """
        noise = generator.standard_normal(image.shape)
        return as_pixels(image + 255 * self.deviation * noise)


@dataclass(frozen=True)
class RGB(Transform):
    """Gray images get three equal channels, so that they have the form of colored ones."""

    def __call__(self, image: Image, generator: np.random.Generator) -> Changed:
        """Returns the image with three channels.

        Args:
            image: gray, or with three channels already.
            generator: not used.

        Raises:
            ValueError: the image has neither one channel nor three.
        """
        del generator
        return as_rgb("rgb", image)


@dataclass(frozen=True)
class Colored(Transform):
    """Gray images get a random color of the ink and another one of the ground.

    Attributes:
        contrast: least difference between the luminances of the two colors, as a share of 255,
            below 1.

    Raises:
        ValueError: the contrast is out of range.
    """

    contrast: float = 0.3

    def __post_init__(self) -> None:
        """Refuses a contrast out of range."""
        if not 0 <= self.contrast <= 0.8:
            raise ValueError(f"colored: contrast must be from 0 to 0.8, got {self.contrast!r}")

    def __call__(self, image: Image, generator: np.random.Generator) -> Changed:
        """Returns the colored image: white in the color of the ink, black in that of the ground.

        Args:
            image: gray.
            generator: draws the colors.

        Raises:
            ValueError: the image is not gray.
        """
        if image.shape[-1] != 1:
            raise ValueError(
                f"colored: images of {image.shape[-1]} channels were given; give gray ones, with 1"
            )
        while True:
            ink, ground = generator.random((2, 3))
            if abs((ink - ground) @ np.asarray(_LUMINANCE)) >= self.contrast:
                break
        share = image / 255.0
        return as_pixels(255 * (share * ink + (1 - share) * ground))


def as_rgb(name: str, image: Image) -> UInt8[np.ndarray, "height width 3"]:
    """Returns an image with three channels.

    Args:
        name: of the transform, for the message.
        image: of one channel or of three.

    Raises:
        ValueError: it has another number of channels.
    """
    if image.shape[-1] not in (1, 3):
        raise ValueError(
            f"{name}: images of {image.shape[-1]} channels were given; give gray ones, with 1, or "
            "colored ones, with 3"
        )
    return np.broadcast_to(image, (*image.shape[:2], 3))


def check_positive(name: str, field: str, value: Any) -> None:
    """Refuses what is no number above 0.

    Args:
        name: of the transform.
        field: of its setting.
        value: the setting.

    Raises:
        ValueError: the message names transform, field and value.
    """
    # To Python True is a number.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < float("inf"):
        raise ValueError(f"{name}: {field} must be a number above 0, got {value!r}")
