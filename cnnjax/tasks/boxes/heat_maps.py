"""Objects as points: the targets of a center network, its losses, and its peaks.

A map's cell (row, column) covers the pixels from stride * row to stride * (row + 1). All functions
work on a batch of maps, and can be jitted.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from cnnjax import ops

Maps = Float[Array, "batch rows columns classes"]


class Centers(NamedTuple):
    """Where the objects of each image are on its map.

    Attributes:
        cells: row and column of the cell that holds the center.
        offsets: from the cell's corner to the center, rows and columns, from 0 to 1.
        sides: height and width in cells.
        labels: the class.
        real: whether the slot holds an object.
    """

    cells: Int[Array, "batch objects 2"]
    offsets: Float[Array, "batch objects 2"]
    sides: Float[Array, "batch objects 2"]
    labels: Int[Array, "batch objects"]
    real: Bool[Array, "batch objects"]


def real_boxes(
    boxes: Float[Array, "batch objects 4"], count: Int[Array, " batch"] | None
) -> Bool[Array, "batch objects"]:
    """Returns which slots hold an object: those that are counted, and have an area.

    Args:
        boxes: top, left, bottom and right.
        count: number of objects of each image; None where only the area decides.
    """
    real = (boxes[..., 2:] > boxes[..., :2]).all(axis=-1)
    if count is None:
        return real
    return real & (jnp.arange(boxes.shape[1])[None] < count[:, None])


def find_centers(
    boxes: Float[Array, "batch objects 4"],
    labels: Int[Array, "batch objects"],
    real: Bool[Array, "batch objects"],
    stride: tuple[float, float],
    size: tuple[int, int],
) -> Centers:
    """Returns the cells that the objects' centers fall into.

    Args:
        boxes: top, left, bottom and right in pixels.
        labels: the class of each.
        real: whether a slot holds an object.
        stride: pixels from one cell to the next, in rows and in columns.
        size: rows and columns of the map.
    """
    scale = jnp.asarray(stride, boxes.dtype).reshape(1, 1, 2)
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2 / scale
    # A center on the last edge belongs to the last cell.
    last = jnp.asarray(size, jnp.int32).reshape(1, 1, 2) - 1
    cells = jnp.clip(jnp.floor(middle).astype(jnp.int32), 0, last)
    sides = (boxes[..., 2:] - boxes[..., :2]) / scale
    return Centers(cells, middle - cells.astype(middle.dtype), sides, labels, real)


def gaussian_radius(
    sides: Float[Array, "*objects 2"], overlap: float = 0.7
) -> Float[Array, "*objects"]:
    """Returns by how much both corners of a box may move so that it keeps an overlap.

    Each corner moves by at most the radius in rows and in columns. Of the three worst cases (both
    corners inside the box, both outside, one each) the smallest radius is taken.

    Args:
        sides: height and width.
        overlap: the least intersection over union with the box itself.

    Source: Law and Deng 2018, section 3.2. The released code divides two of the roots by 2 in place
    of 2 a, which gives other radii; these are the roots.
    """
    total, area = sides.sum(axis=-1), sides.prod(axis=-1)
    # Shifted: (h - r) (w - r) / (2 h w - (h - r) (w - r)) = overlap.
    shifted = (total - jnp.sqrt(total**2 - 4 * area * (1 - overlap) / (1 + overlap))) / 2
    # Smaller: (h - 2 r) (w - 2 r) / (h w) = overlap.
    smaller = (total - jnp.sqrt(total**2 - 4 * area * (1 - overlap))) / 4
    # Larger: h w / ((h + 2 r) (w + 2 r)) = overlap.
    larger = (jnp.sqrt(total**2 + 4 * area * (1 - overlap) / overlap) - total) / 4
    return jnp.minimum(jnp.minimum(shifted, smaller), larger)


def draw_heat(centers: Centers, size: tuple[int, int], classes: int, overlap: float = 0.7) -> Maps:
    """Returns heat maps: 1 at each center, falling off as a Gaussian around it.

    Where two objects of one class are near, the higher value holds. The Gaussian is cut at the
    radius of `gaussian_radius`, rounded down; its deviation is a sixth of 2 * radius + 1.

    Args:
        centers: the objects.
        size: rows and columns of the maps.
        classes: number of classes.
        overlap: see `gaussian_radius`.

    Source: Zhou et al. 2019, section 3; the deviation is that of their code.
    """
    dtype = centers.sides.dtype
    radius = jnp.floor(gaussian_radius(jnp.maximum(centers.sides, 0), overlap))
    rows, columns = (jnp.arange(side, dtype=dtype) for side in size)
    kinds = jnp.arange(classes).reshape(1, 1, 1, -1)

    def add(heat: Maps, slot: tuple[Array, ...]) -> tuple[Maps, None]:
        cells, reach, labels, real = slot
        down = rows[None, :, None] - cells[:, 0, None, None].astype(dtype)
        across = columns[None, None, :] - cells[:, 1, None, None].astype(dtype)
        reach = reach[:, None, None]
        deviation = (2 * reach + 1) / 6
        bump = jnp.exp(-(down**2 + across**2) / (2 * deviation**2))
        near = (jnp.abs(down) <= reach) & (jnp.abs(across) <= reach) & real[:, None, None]
        own = labels[:, None, None, None] == kinds
        return jnp.maximum(heat, jnp.where(near[..., None] & own, bump[..., None], 0)), None

    # One object of each image at a time: all at once would take objects times the maps' memory.
    empty = jnp.zeros((centers.cells.shape[0], *size, classes), dtype)
    slots = (centers.cells, radius, centers.labels, centers.real)
    heat, _ = jax.lax.scan(add, empty, tuple(jnp.moveaxis(part, 1, 0) for part in slots))
    return heat


def heat_losses(
    logits: Maps, heat: Maps, alpha: float = 2.0, beta: float = 4.0
) -> Float[Array, " batch"]:
    """Returns the penalty-reduced focal loss of each image, summed over cells and classes.

    At a center it is -(1 - p)^alpha log p, elsewhere -(1 - y)^beta p^alpha log(1 - p).

    Args:
        logits: of the probabilities p.
        heat: targets y, 1 at centers alone.
        alpha: by how much cells that are right already count less.
        beta: by how much cells near a center count less.

    Source: Zhou et al. 2019, equation 1; Law and Deng 2018, equation 1.
    """
    probability = jax.nn.sigmoid(logits)
    at_center = (1 - probability) ** alpha * -jax.nn.log_sigmoid(logits)
    elsewhere = (1 - heat) ** beta * probability**alpha * -jax.nn.log_sigmoid(-logits)
    return jnp.where(heat == 1, at_center, elsewhere).sum(axis=(1, 2, 3))


def at_centers(maps: Maps, centers: Centers) -> Float[Array, "batch objects classes"]:
    """Returns a map's values at the centers' cells.

    Args:
        maps: values of each cell.
        centers: the objects.
    """
    flat = maps.reshape(maps.shape[0], -1, maps.shape[-1])
    places = centers.cells[..., 0] * maps.shape[2] + centers.cells[..., 1]
    return jnp.take_along_axis(flat, places[..., None], axis=1)


class Peaks(NamedTuple):
    """The highest local maxima of each image's heat maps, the highest first.

    Attributes:
        scores: the heat, from 0 to 1.
        labels: the class; -1 for a slot without a peak.
        boxes: top, left, bottom and right as shares of the image's sides.
    """

    scores: Float[Array, "batch detections"]
    labels: Int[Array, "batch detections"]
    boxes: Float[Array, "batch detections 4"]


def find_peaks(
    heat: Maps,
    sides: Float[Array, "batch rows columns 2"],
    offsets: Float[Array, "batch rows columns 2"],
    most: int = 100,
) -> Peaks:
    """Returns the boxes at the peaks of heat maps.

    A peak is a cell whose heat is that of the highest of its 3x3 neighbors: a maximum filter takes
    the place of non-maximum suppression.

    Args:
        heat: probabilities.
        sides: height and width in cells.
        offsets: from a cell's corner to the center, rows and columns.
        most: the most peaks of an image.

    Source: Zhou et al. 2019, section 4, "From points to bounding boxes".
    """
    batch, rows, columns, classes = heat.shape
    highest = ops.max_pool(heat, 3, strides=1, padding="SAME")
    flat = jnp.where(highest == heat, heat, 0).reshape(batch, -1)
    scores, places = jax.lax.top_k(flat, min(most, flat.shape[1]))
    labels = jnp.where(scores > 0, places % classes, -1)
    cells = places // classes

    def chosen(maps: Float[Array, "batch rows columns 2"]) -> Float[Array, "batch detections 2"]:
        return jnp.take_along_axis(maps.reshape(batch, -1, 2), cells[..., None], axis=1)

    corner = jnp.stack([cells // columns, cells % columns], axis=-1).astype(heat.dtype)
    middle, half = corner + chosen(offsets), jnp.maximum(chosen(sides), 0) / 2
    boxes = jnp.concatenate([middle - half, middle + half], axis=-1)
    shares = boxes / jnp.asarray([rows, columns] * 2, heat.dtype).reshape(1, 1, 4)
    return Peaks(scores, labels, jnp.clip(shares, 0, 1))
