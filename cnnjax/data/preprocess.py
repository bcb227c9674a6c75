"""From stored images to network inputs: scale, resize, pad, normalise."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8


@dataclass(frozen=True)
class Preprocess:
    """The fixed part of the input pipeline, in two halves between which augmentation takes place.

    Attributes:
        resize: side of the square to which images are resized bilinearly; None keeps their size.
        pad: pixels of zero added on each side after resizing.
        mean: what is subtracted per channel, on the scale 0 to 1.
        std: what the difference is divided by per channel.
        per_image: whether each image's own mean and standard deviation, over all its pixels and
            channels, take the place of `mean` and `std`: global contrast normalisation.
    """

    resize: int | None
    pad: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    per_image: bool = False

    def image_shape(self, stored: tuple[int, int, int]) -> tuple[int, int, int]:
        """Returns height, width and channels of a network input for a stored image's."""
        height, width, channels = stored
        if self.resize is not None:
            height = width = self.resize
        return height + 2 * self.pad, width + 2 * self.pad, channels

    def to_unit(
        self, images: UInt8[Array, "batch h w channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Scales to 0 .. 1 in float32, resizes and pads."""
        x = images.astype(jnp.float32) / 255
        if self.resize is not None:
            shape = (x.shape[0], self.resize, self.resize, x.shape[3])
            x = jax.image.resize(x, shape, method="bilinear")
        margin = (self.pad, self.pad)
        return jnp.pad(x, ((0, 0), margin, margin, (0, 0)))

    def normalise(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Subtracts the mean and divides by the standard deviation, of each channel or image."""
        if self.per_image:
            return normalise_contrast(x)
        mean = jnp.asarray(self.mean, x.dtype).reshape(1, 1, 1, -1)
        std = jnp.asarray(self.std, x.dtype).reshape(1, 1, 1, -1)
        return (x - mean) / std

    def __call__(
        self, images: UInt8[Array, "batch h w channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Both halves, without augmentation: what evaluation feeds to the network."""
        return self.normalise(self.to_unit(images))


def normalise_contrast(
    x: Float[Array, "batch height width channels"], epsilon: float = 1e-2
) -> Float[Array, "batch height width channels"]:
    """Gives each image a mean of 0 and a standard deviation of 1 over its pixels and channels.

    Coates, Lee and Ng 2011, section 4.2.1 (there over patches, with a term of 10 on the scale of
    255).

    Args:
        x: images.
        epsilon: least standard deviation to divide by, so that plain images do not become noise.
    """
    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    deviation = x.std(axis=(1, 2, 3), keepdims=True)
    return (x - mean) / jnp.maximum(deviation, epsilon)
