"""From stored examples to network inputs: scale, resize, pad, normalize."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from cnnjax.data.kinds import Kind

IGNORED = 255
"""Value of the pixels of a mask that belong to no class, such as those that padding adds."""

Images = Float[Array, "batch height width channels"]

StoredImages = Num[Array | np.ndarray, "batch height width channels"]
"""Images before `resize` and `pad`, which change their height and width."""

InputImages = Float[Array, "batch _ _ channels"]
"""Images after them."""

Parts = Mapping[str, Array]
Kinds = Mapping[str, Kind]


@dataclass(frozen=True)
class Preprocess:
    """The fixed part of the input pipeline: `to_unit` before augmentation, `normalize` after it.

    By default it only scales uint8 images to 0 … 1.

    Attributes:
        resize: side of the square to which images are resized bilinearly; None keeps their size.
        pad: pixels of zero added on each side after resizing.
        mean: subtracted from each channel, on the scale 0 to 1; one value for all channels, or one
            for each.
        std: divides the difference in each channel; one value for all channels, or one for each.
        per_image: whether each image's own mean and standard deviation, over all its pixels and
            channels, replace `mean` and `std`: global contrast normalization.

    Raises:
        ValueError: a size is out of range, a value is missing, or a deviation is not positive.
    """

    resize: int | None = None
    pad: int = 0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    per_image: bool = False

    def __post_init__(self) -> None:
        if self.resize is not None and self.resize < 1:
            raise ValueError(f"resize: {self.resize} was given; give 1 or more, or None")
        if self.pad < 0:
            raise ValueError(f"pad: {self.pad} was given; give 0 or more")
        if not self.mean or not self.std or min(self.std) <= 0:
            raise ValueError(
                f"mean {self.mean} and std {self.std} were given; give one value for all channels, "
                "or one for each, with deviations above 0"
            )

    def image_shape(self, stored: tuple[int, int, int]) -> tuple[int, int, int]:
        """Returns the height, width and channels of a network input.

        Args:
            stored: height, width and channels of a stored image.
        """
        height, width, channels = stored
        if self.resize is not None:
            height = width = self.resize
        return height + 2 * self.pad, width + 2 * self.pad, channels

    def to_unit(self, parts: Parts, kinds: Kinds) -> dict[str, Array]:
        """Scales images to 0 … 1, resizes and pads; masks, boxes and points are moved with them.

        Args:
            parts: parts of a batch, as they are stored. Masks are resized to the nearest pixel and
                padded with `IGNORED`. Boxes and points are in pixels, where the first pixel goes
                from 0 to 1. All parts of a batch have the size of its first image, or else of its
                first mask.
            kinds: the kind of each part; a part without a kind stays as it is.
        """
        moved = dict(parts)
        size = _size(parts, kinds)
        # Boxes and points are scaled by the stored size, which is read before anything moves.
        for name, kind in kinds.items():
            if kind == "image":
                moved[name] = self._unit_images(parts[name])
            elif kind == "mask":
                moved[name] = self._unit_mask(parts[name])
            elif kind in ("boxes", "points") and size is not None:
                moved[name] = self._unit_places(parts[name], size)
        return moved

    def framed(self, kinds: Kinds) -> Callable[[Mapping[str, Any]], dict[str, Array]]:
        """Returns a function that runs `to_unit` on some of the parts, such as masks alone.

        Args:
            kinds: the kind of each part.
        """

        def unit(parts: Mapping[str, Any]) -> dict[str, Array]:
            arrays = {name: jnp.asarray(part) for name, part in parts.items()}
            return self.to_unit(arrays, {name: kinds[name] for name in parts})

        return unit

    def normalize(self, parts: Parts, kinds: Kinds) -> dict[str, Array]:
        """Subtracts the mean of images and divides by their deviation, per channel or per image.

        Args:
            parts: parts of a batch, with images from 0 to 1.
            kinds: the kind of each part; only images change.
        """
        images = {
            name: self._normalized(parts[name]) for name, kind in kinds.items() if kind == "image"
        }
        return {**parts, **images}

    def __call__(self, parts: Parts, kinds: Kinds) -> dict[str, Array]:
        """Runs `to_unit` and `normalize`, without augmentation between them, as in evaluation.

        Args:
            parts: parts of a batch, as they are stored.
            kinds: the kind of each part.
        """
        return self.normalize(self.to_unit(parts, kinds), kinds)

    def images(self, images: StoredImages) -> InputImages:
        """Runs `to_unit` and `normalize` on images alone.

        Args:
            images: uint8 from 0 to 255, or floats, which are not scaled.

        Returns:
            Network inputs, [batch, height, width, channels], of the size in `image_shape`.
        """
        return self._normalized(self._unit_images(jnp.asarray(images)))

    def _unit_images(self, images: StoredImages) -> InputImages:
        # Only uint8 is known to go from 0 to 255.
        x = images.astype(jnp.float32) / 255 if images.dtype == jnp.uint8 else images
        if self.resize is not None:
            shape = (x.shape[0], self.resize, self.resize, x.shape[3])
            x = jax.image.resize(x, shape, method="bilinear")
        return jnp.pad(x, ((0, 0), (self.pad, self.pad), (self.pad, self.pad), (0, 0)))

    def _unit_mask(self, mask: Array) -> Array:
        if self.resize is not None:
            shape = (mask.shape[0], self.resize, self.resize)
            # A mean of two labels would be another label.
            mask = jax.image.resize(mask, shape, method="nearest")
        margin = (self.pad, self.pad)
        return jnp.pad(mask, ((0, 0), margin, margin), constant_values=IGNORED)

    def _unit_places(self, places: Array, size: tuple[int, int]) -> Array:
        """Moves boxes or points [batch, maximum, 4 or 2], which alternate rows and columns."""
        if self.resize is not None:
            scale = [self.resize / side for side in size] * (places.shape[-1] // 2)
            places = places * jnp.asarray(scale, places.dtype).reshape(1, 1, -1)
        # A row of zeros is empty, and stays so.
        return jnp.where((places != 0).any(-1, keepdims=True), places + self.pad, places)

    def _normalized(self, x: Images) -> Images:
        if self.per_image:
            return normalize_contrast(x)
        # Checked here, since only the images show the number of channels.
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, x.shape[-1]):
                raise ValueError(
                    f"{name}: {values} has {len(values)} values, but the images have {x.shape[-1]} "
                    "channels; give one value for all, or one for each"
                )
        mean = jnp.asarray(self.mean, x.dtype).reshape(1, 1, 1, -1)
        std = jnp.asarray(self.std, x.dtype).reshape(1, 1, 1, -1)
        return (x - mean) / std


def _size(parts: Parts, kinds: Kinds) -> tuple[int, int] | None:
    """Returns the height and width of stored images or masks; None where there are none."""
    for wanted in ("image", "mask"):
        for name, kind in kinds.items():
            if kind == wanted:
                height, width = parts[name].shape[1:3]
                return height, width
    return None


def normalize_contrast(
    x: Float[Array, "batch height width channels"], epsilon: float = 1e-2
) -> Float[Array, "batch height width channels"]:
    """Normalizes each image to a mean of 0 and a deviation of 1 over its pixels and channels.

    Coates, Lee and Ng 2011, section 4.2.1. They normalize patches, and add 10 to the variance on
    the scale of 255.

    Args:
        x: images.
        epsilon: least standard deviation to divide by, so that plain images do not become noise.
    """
    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    deviation = x.std(axis=(1, 2, 3), keepdims=True)
    return (x - mean) / jnp.maximum(deviation, epsilon)
