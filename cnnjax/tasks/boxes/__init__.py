"""Tasks with boxes: localization and detection, overlaps and average precision."""

from cnnjax.tasks.boxes.average_precision import Found, PrecisionRecall, precision_recall
from cnnjax.tasks.boxes.detection import Detection
from cnnjax.tasks.boxes.geometry import (
    box_areas,
    box_iou,
    centers_to_corners,
    corners_to_centers,
    pairwise_iou,
)
from cnnjax.tasks.boxes.localization import Localization

__all__ = [
    "Detection",
    "Found",
    "Localization",
    "PrecisionRecall",
    "box_areas",
    "box_iou",
    "centers_to_corners",
    "corners_to_centers",
    "pairwise_iou",
    "precision_recall",
]
