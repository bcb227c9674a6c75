"""Augmentations that change colors and leave every pixel where it is."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt8

from cnnjax.data.augment.checks import check_probability
from cnnjax.data.augment.fill import Image
from cnnjax.data.augment.transform import Color

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in a gray value (ITU-R BT.601), as in Pillow."""

IMAGENET_EIGENVALUES = (0.2175, 0.0188, 0.0045)
"""Eigenvalues of the covariance of ImageNet's R, G and B values from 0 to 1.

Krizhevsky et al. do not print theirs. These are the figures of fb.resnet.torch (Gross and Wilber,
"Training and investigating residual nets", 2016), which later implementations use too.
"""

IMAGENET_EIGENVECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)
"""Eigenvectors of the same covariance, as columns; rows are R, G and B."""


@dataclass(frozen=True)
class ColorJitter(Color):
    """Changes brightness, contrast, saturation and hue, in this order, each by a random amount.

    Howard 2013, section 2 (the first three), with the definitions of Pillow's `ImageEnhance`:
    the image is blended with black, with the mean of its gray values, and with its gray values, by
    a factor drawn evenly from 1 - amount to 1 + amount. Hues are turned by up to `hue` of a whole
    turn, to either side. Values are clipped to 0 and 1.

    Attributes:
        brightness: amount, 0 to 1.
        contrast: amount, 0 to 1.
        saturation: amount, 0 to 1.
        hue: part of a whole turn, 0 to 0.5.

    Raises:
        ValueError: an amount is negative or too large; or, when called, hue or saturation are to
            change and the image is gray.
    """

    name = "color_jitter"

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        """Raises an error where an argument cannot work."""
        super().__post_init__()
        for name, value, most in (
            ("brightness", self.brightness, 1),
            ("contrast", self.contrast, 1),
            ("saturation", self.saturation, 1),
            ("hue", self.hue, 0.5),
        ):
            if not 0 <= value <= most:
                raise ValueError(f"color_jitter: {name} is {value}; give 0 to {most}")

    def change(self, key: Key[Array, ""], image: Image) -> Image:
        """Changes brightness, contrast, saturation and hue; see `PixelChange`.

        Args:
            key: a random key.
            image: pixels from 0 to 1.
        """
        if self.saturation or self.hue:
            _check_rgb("color_jitter", image)
        # One key for each change, so that switching one off does not alter the others.
        keys = jax.random.split(key, 4)

        def factor(number: int, amount: float) -> Array:
            return jax.random.uniform(
                keys[number], (), jnp.float32, minval=1 - amount, maxval=1 + amount
            )

        # The arguments are static: a change that is off is not compiled.
        if self.brightness:
            image = _blend(image, jnp.zeros_like(image), factor(0, self.brightness))
        if self.contrast:
            # As in Pillow, the mean of the gray values, not of all channels.
            mean = jnp.full_like(image, _gray(image).mean())
            image = _blend(image, mean, factor(1, self.contrast))
        if self.saturation:
            gray = jnp.broadcast_to(_gray(image), image.shape)
            image = _blend(image, gray, factor(2, self.saturation))
        if self.hue:
            image = turn_hue(
                image,
                jax.random.uniform(keys[3], (), jnp.float32, minval=-self.hue, maxval=self.hue),
            )
        return image


def turn_hue(image: Image, turn: Array | float) -> Image:
    """Turns the hue of every pixel, in the HSV model (Smith 1978).

    Args:
        image: R, G and B from 0 to 1.
        turn: the angle as a part of a whole turn.
    """
    high, low = image.max(axis=-1), image.min(axis=-1)
    spread = high - low
    red, green, blue = (image[..., channel] for channel in range(3))
    # Gray pixels have no hue. Any divisor works for them, since their spread is zero below.
    divisor = jnp.where(spread > 0, spread, 1)
    # The highest channel is found by comparing channels, not by comparing each with `high`: where
    # XLA computes a channel twice, the two may differ in the last bit, and none would equal `high`.
    sixths = jnp.where(
        (red >= green) & (red >= blue),
        (green - blue) / divisor,
        jnp.where(green >= blue, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    sixths = sixths + 6 * turn
    # Each channel falls from the highest value to the lowest, two sixths from its own hue on.
    channels = []
    for own in (5, 3, 1):
        place = (own + sixths) % 6
        channels.append(high - spread * jnp.clip(jnp.minimum(place, 4 - place), 0, 1))
    return jnp.stack(channels, axis=-1)


@dataclass(frozen=True)
class PcaColor(Color):
    """Adds one color to all pixels, along the main directions in which a set's colors vary.

    Krizhevsky et al. 2012, section 4.1: each eigenvector times its eigenvalue times a number drawn
    from N(0, 0.1).

    Attributes:
        deviation: standard deviation of the normal distribution.
        eigenvalues: those of the covariance of the set's values from 0 to 1; ImageNet's by default.
        eigenvectors: the same covariance's, as columns; see `color_basis` for those of another set.

    Raises:
        ValueError: the deviation is negative; or, when called, the image is gray.
    """

    name = "pca_color"

    deviation: float = 0.1
    eigenvalues: tuple[float, ...] = IMAGENET_EIGENVALUES
    eigenvectors: tuple[tuple[float, ...], ...] = IMAGENET_EIGENVECTORS

    def __post_init__(self) -> None:
        """Raises an error where an argument cannot work."""
        super().__post_init__()
        if self.deviation < 0:
            raise ValueError(f"pca_color: deviation is {self.deviation}; give 0 or more")
        shapes = np.shape(self.eigenvalues), np.shape(self.eigenvectors)
        if shapes != ((3,), (3, 3)):
            raise ValueError(
                f"pca_color: eigenvalues and eigenvectors are of shapes {shapes[0]} and "
                f"{shapes[1]}; give 3, and 3 rows of 3"
            )

    def change(self, key: Key[Array, ""], image: Image) -> Image:
        """Adds one drawn color to all pixels; see `PixelChange`.

        Args:
            key: a random key.
            image: pixels from 0 to 1.
        """
        _check_rgb("pca_color", image)
        basis = np.asarray(self.eigenvectors, np.float32) * np.asarray(self.eigenvalues, np.float32)
        amounts = self.deviation * jax.random.normal(key, (3,), jnp.float32)
        # On accelerators, a product has less than float32's precision by default.
        color = jnp.matmul(jnp.asarray(basis), amounts, precision="highest")
        return image + color.astype(image.dtype).reshape(1, 1, 3)


def color_basis(
    images: UInt8[np.ndarray, "examples height width 3"],
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3 3"]]:
    """Returns the eigenvalues and eigenvectors of a set's colors, for `PcaColor`.

    Args:
        images: R, G and B from 0 to 255.

    Returns:
        Eigenvalues, largest first, and eigenvectors, as columns, of the covariance of the R, G and
        B values from 0 to 1.
    """
    # float64, since the sums over all pixels of a set are long.
    pixels = images.reshape(-1, 3).astype(np.float64) / 255
    eigenvalues, eigenvectors = np.linalg.eigh(np.cov(pixels, rowvar=False))
    # `eigh` sorts from the smallest to the largest.
    return eigenvalues[::-1], eigenvectors[:, ::-1]


@dataclass(frozen=True)
class Autocontrast(Color):
    """Stretches each channel so that its darkest value becomes 0 and its brightest 1.

    Pillow's `ImageOps.autocontrast`, one of AutoAugment's operations (Cubuk et al. 2019, table 6).
    A channel of one value stays as it is. To normalize the contrast of every image, in evaluation
    as well, set `data.normalization` to "image".

    Attributes:
        probability: probability that an image is changed.

    Raises:
        ValueError: `probability` is not between 0 and 1.
    """

    name = "autocontrast"

    probability: float = 0.5

    def __post_init__(self) -> None:
        """Raises an error where an argument cannot work."""
        super().__post_init__()
        check_probability("autocontrast", self.probability)

    def change(self, key: Key[Array, ""], image: Image) -> Image:
        """Stretches the channels of some images; see `PixelChange`.

        Args:
            key: a random key.
            image: pixels from 0 to 1.
        """
        low = image.min(axis=(0, 1), keepdims=True)
        spread = image.max(axis=(0, 1), keepdims=True) - low
        # The inner `where` avoids a division of zero by zero, whose NaN would reach gradients.
        stretched = jnp.where(spread > 0, (image - low) / jnp.where(spread > 0, spread, 1), image)
        # `bernoulli` refuses integers, and a policy may have 0 or 1.
        return jnp.where(jax.random.bernoulli(key, float(self.probability)), stretched, image)


def _blend(image: Image, other: Image, factor: Array) -> Image:
    return jnp.clip(other + factor * (image - other), 0, 1)


def _gray(image: Image) -> Float[Array, "height width 1"]:
    if image.shape[-1] == 1:
        return image
    return (image * jnp.asarray(LUMA, image.dtype).reshape(1, 1, 3)).sum(axis=-1, keepdims=True)


def _check_rgb(name: str, image: Image) -> None:
    if image.shape[-1] != 3:
        raise ValueError(
            f"{name}: it changes colors, and the images have {image.shape[-1]} channels, not 3; "
            "leave it out, or name the images that have colors, such as parts='image'"
        )
