"""RandAugment: a few changes of each image, drawn from fourteen, of random strengths."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from cnnjax.data.augment.checks import check_pixels
from cnnjax.data.augment.example import Example
from cnnjax.data.augment.fill import Fill, Image, filled
from cnnjax.data.augment.strengths import COLORS
from cnnjax.data.augment.transform import Kinds, PixelChange
from cnnjax.data.part_checks import kinds_by_name

Strength = Float[Array, ""]
"""From 0 to 1: the place between the ends of a change's range."""

_TURN, _SHEAR, _MOVE = 30.0, 0.3, 0.3
"""The largest turn in degrees, the largest shear, and the largest move as a share of the side."""


@dataclass(frozen=True)
class RandAugment(PixelChange):
    """Makes `count` changes, one after the other, each drawn evenly from fourteen.

    They are those of FixMatch, each of a strength that is drawn evenly from its range: none,
    autocontrast, equalization, posterization to 4 to 8 bits, solarization from any threshold on;
    brightness, color, contrast and sharpness by a factor of 0.05 to 0.95; turns by up to 30
    degrees, shears by up to 0.3, and moves by up to 0.3 of the side, along rows and columns. Color
    leaves gray images as they are. Masks, boxes and points would not move with the image, so
    that examples that have them are refused.

    Attributes:
        count: number of changes.
        fill: what enters from beyond the edges; the gray of AutoAugment's own code.

    Raises:
        ValueError: `count` is no whole number from 1 on; or, when called, the example has masks,
            boxes or points.

    Source: Cubuk et al., 2020, "RandAugment"; the changes and ranges of Sohn et al., 2020,
        "FixMatch", table 12.
    """

    name = "rand_augment"
    sort = "color"

    count: int = 2
    fill: Fill = 0.5

    def __post_init__(self) -> None:
        """Raises an error where an argument cannot work."""
        super().__post_init__()
        check_pixels("rand_augment", "count", self.count, 1)

    def __call__(
        self, key: Key[Array, ""], example: Example, kinds: Kinds | None = None
    ) -> dict[str, Array]:
        """Changes the images of one example; see `Transform`.

        Args:
            key: a random key.
            example: the parts by name.
            kinds: the kind of each part whose name does not show it.
        """
        kinds = kinds_by_name(example, kinds)
        for name, kind in kinds.items():
            if kind in ("mask", "boxes", "points"):
                raise ValueError(
                    f"rand_augment: it moves images, and {name!r}, of kind {kind}, would stay "
                    "where it is; use affine and color_jitter instead"
                )
        return super().__call__(key, example, kinds)

    def change(self, key: Key[Array, ""], image: Image) -> Image:
        """Makes the changes; see `PixelChange`.

        Args:
            key: a random key.
            image: pixels from 0 to 1.
        """
        for number in range(self.count):
            which_key, strength_key = jax.random.split(jax.random.fold_in(key, number))
            which = jax.random.randint(which_key, (), 0, len(CHANGES))
            strength = jax.random.uniform(strength_key, (), jnp.float32)
            image = change_image(which, strength, image, self.fill)
        return image


def change_image(which: Int[Array, ""], strength: Strength, image: Image, fill: Fill) -> Image:
    """Makes one of the changes of RandAugment.

    Args:
        which: its place in `CHANGES`.
        strength: from one end of its range, 0, to the other, 1.
        image: pixels from 0 to 1.
        fill: what enters from beyond the edges.
    """
    number = len(COLORS)
    # Under `vmap` all branches are computed: the movements share one, whose numbers are chosen.
    colored = jax.lax.switch(
        jnp.minimum(which, number),
        [*COLORS.values(), lambda strength, image: image],
        strength,
        image,
    )
    motions = jnp.stack([motion(2 * strength - 1) for motion in MOTIONS.values()])
    motion = motions[jnp.clip(which - number, 0, len(MOTIONS) - 1)]
    return jnp.where(which < number, colored, _moved(motion, image, fill))


def _moved(motion: Float[Array, "2 3"], image: Image, fill: Fill) -> Image:
    """Returns the image whose pixel at p, from the center, is the old one at motion @ (p, 1)."""
    height, width, _ = image.shape
    sides = jnp.array([height, width], jnp.float32)
    middle = (sides - 1) / 2
    rows = jnp.arange(height, dtype=jnp.float32).reshape(-1, 1) - middle[0]
    columns = jnp.arange(width, dtype=jnp.float32).reshape(1, -1) - middle[1]
    sources = [
        motion[axis, 0] * rows
        + motion[axis, 1] * columns
        + motion[axis, 2] * sides[axis]
        + middle[axis]
        for axis in (0, 1)
    ]
    background = filled(fill, image)

    def sample(channel: Array) -> Array:
        return jax.scipy.ndimage.map_coordinates(channel, sources, order=1, mode="constant")

    # `map_coordinates` can only fill with zeros: the background, once it is subtracted.
    return jax.vmap(sample, in_axes=2, out_axes=2)(image - background) + background


def _matrix(*values: Array | float) -> Float[Array, "2 3"]:
    return jnp.stack([jnp.asarray(value, jnp.float32) for value in values]).reshape(2, 3)


def _turn(share: Strength) -> Float[Array, "2 3"]:
    angle = share * jnp.deg2rad(_TURN)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    return _matrix(cosine, sine, 0, -sine, cosine, 0)


MOTIONS: Mapping[str, Callable[[Strength], Float[Array, "2 3"]]] = {
    "rotate": _turn,
    "shear_x": lambda share: _matrix(1, 0, 0, _SHEAR * share, 1, 0),
    "shear_y": lambda share: _matrix(1, _SHEAR * share, 0, 0, 1, 0),
    "translate_x": lambda share: _matrix(1, 0, 0, 0, 1, _MOVE * share),
    "translate_y": lambda share: _matrix(1, 0, _MOVE * share, 0, 1, 0),
}
"""For a share from -1 to 1 of the largest movement, where each pixel comes from."""

CHANGES = (*COLORS, *MOTIONS)
"""Names of the changes."""
