"""Boxes above a picture, as SVG that grows with it."""

from collections.abc import Sequence
from html import escape

from cnnjax.tasks.marked_boxes import MarkedBox

_WIDTH = 400
"""Width of the drawing in its own units, in which texts have the size of the style sheet."""

_CROWDED = 24
"""From this many boxes on, right ones have their text under the pointer only."""

_LETTER, _LINE = 7.4, 13


def box_overlay(boxes: Sequence[MarkedBox], height: int, width: int) -> str:
    """Returns an SVG element of a picture's proportions with its boxes; "" without boxes.

    Args:
        boxes: the later ones are above the earlier ones.
        height: of the picture in pixels.
        width: of the picture in pixels.
    """
    if not boxes:
        return ""
    tall = _WIDTH * height / width
    drawn = [_box(box, tall, len(boxes) >= _CROWDED) for box in boxes]
    # Described by the picture's own text.
    return (
        f'<svg viewBox="0 0 {_WIDTH} {tall:.1f}" aria-hidden="true" focusable="false">'
        f"{''.join(drawn)}</svg>"
    )


def _box(box: MarkedBox, tall: float, crowded: bool) -> str:
    left, right = (min(max(share, 0.0), 1.0) * _WIDTH for share in (box.left, box.right))
    top, bottom = (min(max(share, 0.0), 1.0) * tall for share in (box.top, box.bottom))
    form = (
        f'x="{left:.1f}" y="{top:.1f}" width="{max(right - left, 1):.1f}" '
        f'height="{max(bottom - top, 1):.1f}"'
    )
    # A dark line below makes a bright one visible on any ground.
    parts = [f'<rect class="under" {form}/><rect class="{box.tone}" {form}/>']
    if box.text and not (crowded and box.tone == "right"):
        x = min(left, max(_WIDTH - _LETTER * len(box.text), 0.0))
        y = top - 3 if top >= _LINE else min(top + _LINE - 2, tall - 2)
        parts.append(f'<text class="{box.tone}" x="{x:.1f}" y="{y:.1f}">{escape(box.text)}</text>')
    return "".join(parts)
