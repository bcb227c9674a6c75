"""Boxes: areas, overlaps, and their forms as corners and as centers with sizes.

Corners are (top, left, bottom, right), centers with sizes (x, y, width, height), both in one unit:
pixels, where the first pixel goes from 0 to 1, or shares of the image's sides.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

Corners = Float[Array, "*boxes 4"]
Centers = Float[Array, "*boxes 4"]


def box_areas(boxes: Corners) -> Float[Array, "*boxes"]:
    """Returns the areas of boxes; 0 where a box ends before it starts.

    Args:
        boxes: top, left, bottom and right.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax.tasks import boxes
        >>> float(boxes.box_areas(jnp.array([1.0, 1.0, 3.0, 5.0])))
        8.0
    """
    sides = jnp.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def box_iou(boxes: Corners, others: Corners) -> Float[Array, "*boxes"]:
    """Returns the intersection over union of each box with the other one at its place.

    Args:
        boxes: top, left, bottom and right.
        others: of the same shape.

    Returns:
        From 0 to 1; 0 where both have no area.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax.tasks import boxes
        >>> left, right = jnp.array([0.0, 0.0, 2.0, 2.0]), jnp.array([0.0, 1.0, 2.0, 3.0])
        >>> round(float(boxes.box_iou(left, right)), 4)
        0.3333
    """
    shared = jnp.concatenate(
        [
            jnp.maximum(boxes[..., :2], others[..., :2]),
            jnp.minimum(boxes[..., 2:], others[..., 2:]),
        ],
        axis=-1,
    )
    intersection = box_areas(shared)
    union = box_areas(boxes) + box_areas(others) - intersection
    # Without any area the union is 0, and so is the intersection.
    return intersection / jnp.where(union > 0, union, 1)


def pairwise_iou(
    boxes: Float[Array, "boxes 4"], others: Float[Array, "others 4"]
) -> Float[Array, "boxes others"]:
    """Returns the intersection over union of each box with each of the others.

    Args:
        boxes: top, left, bottom and right.
        others: in the same unit.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax.tasks import boxes
        >>> two = jnp.array([[0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
        >>> boxes.pairwise_iou(two, two[:1]).tolist()
        [[1.0], [0.0]]
    """
    shape = (boxes.shape[0], others.shape[0], 4)
    return box_iou(jnp.broadcast_to(boxes[:, None], shape), jnp.broadcast_to(others[None], shape))


def corners_to_centers(boxes: Corners) -> Centers:
    """Returns boxes as (x, y, width, height), where x and y are those of the center.

    Args:
        boxes: top, left, bottom and right.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax.tasks import boxes
        >>> boxes.corners_to_centers(jnp.array([0.0, 2.0, 4.0, 8.0])).tolist()
        [5.0, 2.0, 6.0, 4.0]
    """
    top, left, bottom, right = jnp.moveaxis(boxes, -1, 0)
    return jnp.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], axis=-1)


def centers_to_corners(boxes: Centers) -> Corners:
    """Returns boxes as (top, left, bottom, right).

    Args:
        boxes: x and y of the center, width and height. A negative width or height gives a box that
            ends before it starts, whose area is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax.tasks import boxes
        >>> boxes.centers_to_corners(jnp.array([5.0, 2.0, 6.0, 4.0])).tolist()
        [0.0, 2.0, 4.0, 8.0]
    """
    x, y, width, height = jnp.moveaxis(boxes, -1, 0)
    corners = [y - height / 2, x - width / 2, y + height / 2, x + width / 2]
    return jnp.stack(corners, axis=-1)
