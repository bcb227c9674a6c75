"""The kinds of the parts of an example."""

from typing import Literal

Kind = Literal["image", "label", "mask", "boxes", "points", "count", "labels", "value"]
"""A part's kind: what its numbers mean, and so what moves it.

`boxes` are corners (top, left, bottom, right) in pixels, a row for each object, padded to a maximum
with rows of zeros. `boxes_count` (kind count) is the number of objects, and `boxes_label` (kind
labels) has the class of each. A row without area is no object.
"""
