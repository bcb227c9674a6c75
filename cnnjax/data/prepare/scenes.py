"""Composing scenes: objects with their masks and boxes, inked on uneven, textured ground."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from cnnjax.data.errors import DataError
from cnnjax.extras import installed_with

NO_OBJECT = -1
"""Label of the rows that fill up the boxes of a scene with fewer objects than the most."""

DEFAULT_SIZE = 64
DEFAULT_OBJECTS = 4

SIDES = (0.25, 0.45)
"""Bounds of an object's side as a share of a scene's side, where there are four objects at most."""

SMALLEST_SIDE = 8
"""Pixels of the smallest object's side: the digits are stored with as many."""

_LARGEST_SIZE = 1024
_MOST_OBJECTS = 100
_ATTEMPTS = 50
# Between objects, so that no box touches another.
_GAP = 1

Gray = UInt8[np.ndarray, "height width"]
Unit = Float32[np.ndarray, "rows columns"]


class Scene(NamedTuple):
    """A composed scene.

    Attributes:
        image: gray pixels.
        mask: the class of each pixel: 0 is the ground, `label + 1` an object's ink.
        boxes: top, left, bottom and right of each object's ink, in pixels; zeros fill up.
        labels: the label of each object; `NO_OBJECT` fills up.
        objects: which object was placed, as its position among those given; `NO_OBJECT` fills up.
        count: number of objects.
    """

    image: Gray
    mask: Gray
    boxes: Float32[np.ndarray, "most 4"]
    labels: Int32[np.ndarray, " most"]
    objects: Int32[np.ndarray, " most"]
    count: int


@dataclass(frozen=True)
class SceneForm:
    """The size of a scene and how many objects it has.

    Attributes:
        size: height and width in pixels.
        most: the most objects; a scene has 1 to that many, of a number drawn evenly, and fewer
            where another does not fit.

    Raises:
        DataError: a number is out of range, or the smallest objects would have too few pixels.
    """

    size: int = DEFAULT_SIZE
    most: int = DEFAULT_OBJECTS

    def __post_init__(self) -> None:
        """Raises an error for scenes that cannot be composed."""
        if not (0 < self.size <= _LARGEST_SIZE and 0 < self.most <= _MOST_OBJECTS):
            raise DataError(
                f"scenes: size {self.size} and {self.most} objects were given; give a size of up "
                f"to {_LARGEST_SIZE} pixels, and 1 to {_MOST_OBJECTS} objects"
            )
        if self.sides[0] < SMALLEST_SIDE:
            needed = math.ceil(SMALLEST_SIDE / (SIDES[0] * self._crowding))
            raise DataError(
                f"scenes: with up to {self.most} objects at size {self.size}, the smallest has a "
                f"side of {self.sides[0]} pixels, and {SMALLEST_SIDE} are needed; give a size of "
                f"{needed} or more, or fewer objects"
            )

    @classmethod
    def of(cls, config: str) -> "SceneForm":
        """Returns the form of a name such as `64` (size) or `64_1` (size and most objects).

        Args:
            config: the part after the slash in the name of a set of scenes; "" for the default.

        Raises:
            DataError: it is no such name, or such scenes cannot be composed.
        """
        if not config:
            return cls()
        found = re.fullmatch(r"([1-9]\d{0,5})(?:_([1-9]\d{0,5}))?", config)
        if found is None:
            raise DataError(
                f"scenes: {config!r} was given; give SIZE or SIZE_OBJECTS, the side of a scene in "
                f"pixels and the most objects in it, such as {DEFAULT_SIZE} or {DEFAULT_SIZE}_1"
            )
        return cls(int(found[1]), int(found[2] or DEFAULT_OBJECTS))

    @property
    def name(self) -> str:
        """Its shortest name, which `of` takes."""
        return f"{self.size}" if self.most == DEFAULT_OBJECTS else f"{self.size}_{self.most}"

    @property
    def sides(self) -> tuple[int, int]:
        """The smallest and the largest side of an object, in pixels."""
        low, high = (int(share * self._crowding * self.size) for share in SIDES)
        return low, high

    @property
    def _crowding(self) -> float:
        # More than four objects are made smaller, so that all together cover an equal area.
        return min(1.0, 2 / math.sqrt(self.most))


def compose(
    form: SceneForm,
    objects: Sequence[Gray],
    labels: Sequence[int],
    generator: np.random.Generator,
) -> Scene:
    """Returns a scene of objects drawn at random.

    The ground is uneven, from dark to light within one scene, and textured. An object's ink is
    darker or lighter than the ground that it is on by a given contrast. A threshold on gray values
    therefore cannot find the objects: both ink and ground take all values.

    Args:
        form: size and number of objects.
        objects: gray images of single objects, of which 255 is full ink.
        labels: the label of each.
        generator: draws everything.
    """
    ground = _ground(form.size, generator)
    image = ground.copy()
    mask = np.zeros((form.size, form.size), np.uint8)
    boxes = np.zeros((form.most, 4), np.float32)
    found = np.full(form.most, NO_OBJECT, np.int32)
    count = 0
    for _ in range(int(generator.integers(1, form.most, endpoint=True))):
        chosen = int(generator.integers(len(objects)))
        ink = _ink(objects[chosen], int(generator.integers(*form.sides, endpoint=True)))
        inked = ink >= 0.5
        inner = _bounds(inked)
        place = _free_place(boxes[:count], inner, ink.shape, form.size, generator)
        # Drawn before an object is skipped, so that the next ones do not depend on it.
        contrast = np.float32(generator.uniform(0.35, 0.5))
        darker = bool(generator.random() < 0.5)
        if place is None:
            continue
        top, left = place
        window = np.s_[top : top + ink.shape[0], left : left + ink.shape[1]]
        level = float(ground[window].mean())
        # Beyond white and black there is no contrast.
        sign = np.float32(-1 if level > 0.6 or (level > 0.4 and darker) else 1)
        image[window] += sign * contrast * ink
        mask[window][inked] = labels[chosen] + 1
        boxes[count] = inner + np.array([top, left, top, left])
        found[count] = chosen
        count += 1
    image += generator.normal(0, 0.02, image.shape).astype(np.float32)
    pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    named = np.array([NO_OBJECT if o == NO_OBJECT else labels[o] for o in found.tolist()], np.int32)
    return Scene(pixels, mask, boxes, named, found, count)


def _ground(size: int, generator: np.random.Generator) -> Unit:
    """Returns uneven ground from 0.15 to 0.85 with a grating and a finer grain."""
    uneven = _smooth(size, 3, generator)
    uneven = (uneven - uneven.min()) / max(float(uneven.max() - uneven.min()), 1e-6)
    grain = _smooth(size, max(4, size // 4), generator) - 0.5
    angle, phase = generator.uniform(0, 2 * math.pi, 2)
    waves = generator.uniform(3, 8) * 2 * math.pi / size
    rows, columns = np.mgrid[:size, :size]
    grating = np.sin(waves * (math.cos(angle) * rows + math.sin(angle) * columns) + phase)
    ground = 0.25 + 0.5 * uneven + 0.12 * grain + 0.05 * grating
    return np.clip(ground, 0.15, 0.85).astype(np.float32)


def _smooth(size: int, points: int, generator: np.random.Generator) -> Unit:
    """Returns random values at `points` x `points` places, interpolated between them."""
    # Whole numbers of 8 bits, in which Pillow resizes with integers, the same on every machine.
    values = generator.integers(0, 256, (points, points), dtype=np.uint8)
    return _scaled(values, (size, size))


def _ink(digit: Gray, side: int) -> Unit:
    """Returns an object's ink from 0 to 1, with a longer side of `side` and a margin around it."""
    scale = side / max(digit.shape)
    # The margin of one stored pixel lets the ink fade out at the edges too.
    digit = np.pad(digit, 1)
    height, width = (max(1, round(length * scale)) for length in digit.shape)
    # Twice the slope at the edges: enlarged strokes would be blurred, and their extent uncertain.
    return np.clip(2 * _scaled(digit, (height, width)) - 0.5, 0, 1)


def _bounds(inked: Bool[np.ndarray, "height width"]) -> Float32[np.ndarray, "4"]:
    """Returns top, left, bottom and right of what is inked."""
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    if not rows.size:
        raise DataError("scenes: an object has no pixel with at least half of the full ink")
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], np.float32)


def _scaled(values: Gray, shape: tuple[int, int]) -> Unit:
    with installed_with("train"):
        from PIL import Image

    picture = Image.fromarray(values).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(picture, np.float32) / 255


def _free_place(
    boxes: Float32[np.ndarray, "placed 4"],
    inner: Float32[np.ndarray, "4"],
    shape: tuple[int, ...],
    size: int,
    generator: np.random.Generator,
) -> tuple[int, int] | None:
    """Returns the top and left of a place whose box overlaps no other; None where none was found.

    The box is the object's own, `inner`; its faint margin may reach into another one's.
    """
    for _ in range(_ATTEMPTS):
        top = int(generator.integers(size - shape[0], endpoint=True))
        left = int(generator.integers(size - shape[1], endpoint=True))
        box = inner + np.array([top, left, top, left])
        apart = (boxes[:, :2] >= box[2:] + _GAP) | (boxes[:, 2:] + _GAP <= box[:2])
        if apart.any(axis=1).all():
            return top, left
    return None
